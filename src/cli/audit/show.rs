//! `audit show`: lines of the log, for a person or as they stand.

use std::{collections::VecDeque, process::ExitCode, time::Duration};

use hsmsign::{
    audit::{self, Reader, SetBack},
    error::Result,
    json::Json,
};

use super::{Around, FilterArgs, output, warn_of, warn_of_nothing};

/// Show lines of the log
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// The last so many alone
    #[arg(long, short = 'n', value_name = "N")]
    last: Option<usize>,
    /// Go on as lines come
    #[arg(long, short)]
    follow: bool,
    /// The lines as they stand in the log
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let around = Around::find()?;
    let filter = args.filter.filter()?;
    let mut reader = Reader::new(&around.home)?;
    let mut last = VecDeque::new();
    let mut back = SetBack::of(&filter);
    let (mut seen, mut fitting) = (0, 0_u64);
    let shown = |text: &str, json: &Json| if args.json { text.to_owned() } else { told(json) };
    reader.read(&mut |text, json| {
        seen += 1;
        back.take(json);
        if filter.wants(json) {
            fitting += 1;
            if args.last.is_some_and(|most| last.len() >= most) {
                last.pop_front();
            }
            if args.last != Some(0) {
                last.push_back(shown(text, json));
            }
        }
        if args.last.is_none() && last.len() >= 1000 {
            print(&mut last)?;
        }
        Ok(())
    })?;
    print(&mut last)?;
    if warn_of(&mut reader) == 0 && fitting == 0 {
        warn_of_nothing(&around, &filter.told(), seen);
    }
    back.told().iter().for_each(|told| output::warn(told));
    if !args.follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        std::thread::sleep(Duration::from_millis(100));
        reader.read(&mut |text, json| {
            if filter.wants(json) {
                last.push_back(shown(text, json));
            }
            Ok(())
        })?;
        for moved in reader.moved() {
            output::warn(&moved.to_string());
        }
        print(&mut last)?;
        warn_of(&mut reader);
    }
}

/// Prints lines; a reader that went away ends the process.
fn print(lines: &mut VecDeque<String>) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let text: Vec<_> = lines.drain(..).collect();
    if output::line(&text.join("\n"))? == ExitCode::SUCCESS {
        return Ok(());
    }
    std::process::exit(0)
}

/// A name or a value of a request. What could be taken for something else of the line stands in quotes.
fn plain(text: &str) -> String {
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':' | b'%' | b'~' | b'@' | b'+')
    };
    let escaped = output::escaped(text.as_bytes());
    match text.bytes().all(is_plain) {
        true => escaped,
        false => format!("\"{escaped}\""),
    }
}

/// A line for a person.
fn told(json: &Json) -> String {
    let text = |name: &str| {
        let text = json.get(name).and_then(Json::scalar).unwrap_or_default();
        output::escaped(text.as_bytes())
    };
    let mut parts = vec![text("t"), text("what"), text("outcome"), text("key")];
    // Of a request that was refused before it was read, the method may be any text too.
    for name in ["method", "path"] {
        let given = json.get(name).and_then(Json::scalar);
        parts.extend(given.map(plain));
    }
    if let Some(Json::Object(fields)) = json.get("fields") {
        let field = |(name, value): &(String, Json)| {
            let values = match value {
                Json::List(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            let each = values
                .iter()
                .map(|value| plain(value.scalar().unwrap_or_default()));
            format!("{}={}", plain(name), each.collect::<Vec<_>>().join(","))
        };
        parts.extend(fields.iter().map(field));
    }
    for name in ["detail", "message"] {
        parts.push(text(name));
    }
    if json.get("uid").is_some() {
        let program = audit::program(json).map(plain);
        let program = program.map_or_else(String::new, |program| format!(" {program}"));
        parts.push(format!("(uid {}, process {}{program})", text("uid"), text("pid")));
    }
    if json.get("seal").is_some() {
        parts.push(format!("{} up to line {}", text("seal"), text("upto")));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}
