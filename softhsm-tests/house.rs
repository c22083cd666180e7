//! The floors of docs/architecture.md are the program's: a room uses only rooms on lower floors.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rooms of the table: each file and folder of `src/` that it names, with its floor.
fn floors() -> BTreeMap<String, u32> {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?.parse::<u32>().ok()?, cells.next()?))
    });
    let mut floors = BTreeMap::new();
    for (floor, rooms) in rows {
        for room in rooms.split('`').skip(1).step_by(2) {
            let before = floors.insert(room_of(Path::new(room)), floor);
            assert!(
                before.is_none_or(|before| before == floor),
                "{room} stands on two floors"
            );
        }
    }
    floors
}

/// The room that a file below `src/` belongs to.
fn room_of(file: &Path) -> String {
    let first = file.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}

/// The rooms that a text names, of the library: behind `crate::`, alone or in braces.
fn used(text: &str) -> BTreeSet<String> {
    let named = text
        .split("crate::")
        .skip(1)
        .flat_map(|behind| match behind.strip_prefix('{') {
            Some(list) => items(list),
            None => vec![behind.to_owned()],
        });
    let word = |name: String| {
        let name = name.trim_start();
        let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        name[..end.unwrap_or(name.len())].to_owned()
    };
    named.map(word).filter(|name| !name.is_empty()).collect()
}

/// The items of a list up to its brace, without what stands in braces of their own.
fn items(list: &str) -> Vec<String> {
    let (mut depth, mut items) = (0, vec![String::new()]);
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            letter if depth == 0 => items.last_mut().unwrap().push(letter),
            _ => {}
        }
    }
    items
}

#[test]
fn a_room_uses_only_rooms_on_lower_floors() {
    let floors = floors();
    let floor = |room: &str, file: &Path| {
        *floors.get(room).unwrap_or_else(|| {
            panic!(
                "{}: the table of docs/architecture.md has no room {room}",
                file.display()
            )
        })
    };
    let source = root().join("src");
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for path in files(&source) {
        let file = path.strip_prefix(&source).unwrap();
        let room = room_of(file);
        if room == "lib" {
            continue;
        }
        let own = floor(&room, file);
        seen.insert(room.clone());
        for other in used(&fs::read_to_string(&path).unwrap()) {
            if other != room && floor(&other, file) >= own {
                wrong.push(format!("{} uses {other}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let left: Vec<_> = floors.keys().filter(|room| !seen.contains(*room)).collect();
    assert!(
        left.is_empty(),
        "the table has rooms that are not there: {left:?}"
    );
}

#[test]
fn uses_are_read_alone_and_in_lists() {
    let text =
        "use crate::{\n    error::{Code, Error},\n    json, nonce::now,\n};\nlet a = crate::clock::now();";
    let rooms: Vec<_> = used(text).into_iter().collect();
    assert_eq!(rooms, ["clock", "error", "json", "nonce"]);
}
