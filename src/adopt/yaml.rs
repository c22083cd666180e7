//! YAML as configurations are written: block mappings and lists, plain and quoted texts, block texts. An `environment`
//! section of docker-compose may be a list of `NAME=value`. Flow collections are read by `flow`.
//!
//! What is written in other ways (anchors, texts over several lines) is passed over, and stays as it is.

use super::{
    env, flow,
    scalar::{BOM, Form, Scalar},
};

/// Where the texts are.
pub(super) fn scalars(text: &[u8]) -> Vec<Scalar> {
    let mut reader = Reader {
        text,
        levels: Vec::new(),
        found: Vec::new(),
    };
    let mut at = if text.starts_with(BOM) { BOM.len() } else { 0 };
    while at < text.len() {
        let end = text[at..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(text.len(), |length| at + length);
        at = reader.line(at, end).max(end + 1);
    }
    reader.found
}

/// What is open above a line: its indent and its name, or its place in a list.
struct Level {
    indent: usize,
    name: String,
    items: usize,
}

struct Reader<'t> {
    text: &'t [u8],
    levels: Vec<Level>,
    found: Vec<Scalar>,
}

impl Reader<'_> {
    /// Reads the line at these bytes; answers where to go on.
    fn line(&mut self, start: usize, end: usize) -> usize {
        let line = &self.text[start..end];
        let mut indent = line.iter().take_while(|&&byte| byte == b' ').count();
        let content = line[indent..].trim_ascii_end();
        if content.is_empty() || content[0] == b'#' {
            return 0;
        }
        if content == b"---" || content == b"..." {
            self.levels.clear();
            return 0;
        }
        while let Some(rest) = item(&self.text[start + indent..end]) {
            self.open_item(indent);
            indent += rest;
        }
        let from = start + indent;
        let content = self.text[from..end].trim_ascii_end();
        match key(content) {
            Some((name, offset)) => {
                self.levels.retain(|level| level.indent < indent);
                self.levels.push(Level {
                    indent,
                    name,
                    items: 0,
                });
                self.value(from + offset, from + content.len(), indent)
            }
            None => self.in_list(from, from + content.len()),
        }
    }

    /// A dash: the list belongs to the level above, which may have the same indent as the dash.
    fn open_item(&mut self, indent: usize) {
        self.levels
            .retain(|level| level.indent < indent || (level.indent == indent && !is_place(&level.name)));
        let place = self.levels.last_mut().map_or(0, |level| {
            level.items += 1;
            level.items - 1
        });
        self.levels.push(Level {
            indent,
            name: place.to_string(),
            items: 0,
        });
    }

    fn path(&self) -> Vec<String> {
        self.levels.iter().map(|level| level.name.clone()).collect()
    }

    /// The value behind a name.
    fn value(&mut self, from: usize, to: usize, indent: usize) -> usize {
        let value = &self.text[from..to];
        if matches!(value.first(), Some(b'|' | b'>')) {
            return self.block(to, indent);
        }
        if matches!(value.first(), Some(b'{' | b'[')) {
            return self.flow(from);
        }
        if let Some((span, form)) = text_in(value) {
            let span = from + span.start..from + span.end;
            self.found.push(Scalar {
                path: self.path(),
                span,
                form,
            });
        }
        0
    }

    /// A flow collection: answers the end of the line that it ends in.
    fn flow(&mut self, from: usize) -> usize {
        let before = self.found.len();
        let Some(end) = flow::collection(self.text, from, &mut self.path(), &mut self.found) else {
            // What stands in one that does not end is passed over.
            self.found.truncate(before);
            return 0;
        };
        end + self.text[end..].iter().take_while(|&&byte| byte != b'\n').count()
    }

    /// A text of a list; in an environment section it sets a name.
    fn in_list(&mut self, from: usize, to: usize) -> usize {
        if matches!(self.text[from..to].first(), Some(b'{' | b'[')) {
            return self.flow(from);
        }
        let Some((span, form)) = text_in(&self.text[from..to]) else {
            return 0;
        };
        let span = from + span.start..from + span.end;
        let mut path = self.path();
        let below = path.len().checked_sub(2).map(|at| path[at].as_str());
        let scalar = match env::setting(&self.text[span.clone()]) {
            Some((name, offset)) if below == Some("environment") => {
                path.pop();
                path.extend(name.split("__").map(str::to_owned));
                Scalar {
                    path,
                    span: span.start + offset..span.end,
                    form,
                }
            }
            _ => Scalar { path, span, form },
        };
        self.found.push(scalar);
        0
    }

    /// A block text behind `|` or `>`: the lines that stand deeper than the name. It is kept without its first indent.
    fn block(&mut self, header_end: usize, indent: usize) -> usize {
        let first = self.text[header_end..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map(|length| header_end + length + 1);
        let Some(first) = first else { return 0 };
        let (mut end, mut depth) = (first, None);
        for line in self.text[first..].split_inclusive(|&byte| byte == b'\n') {
            let blanks = line.iter().take_while(|&&byte| byte == b' ').count();
            if !line.trim_ascii().is_empty() {
                if blanks <= indent {
                    break;
                }
                depth.get_or_insert(blanks);
            }
            end += line.len();
        }
        let depth = depth.unwrap_or(0);
        let whole = &self.text[first..end];
        let span =
            first + depth.min(whole.len())..first + whole.trim_ascii_end().len().max(depth.min(whole.len()));
        self.found.push(Scalar {
            path: self.path(),
            span,
            form: Form::Block(depth),
        });
        end
    }
}

fn is_place(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// How far the content of a list's item is from its dash, if this is one.
fn item(content: &[u8]) -> Option<usize> {
    let rest = content.strip_prefix(b"-")?;
    let blanks = rest.iter().take_while(|&&byte| byte == b' ').count();
    (blanks > 0 && blanks < rest.len()).then_some(1 + blanks)
}

/// The name of a mapping's line, and where what is behind the colon begins.
fn key(content: &[u8]) -> Option<(String, usize)> {
    let (name, colon) = match content.first()? {
        quote @ (b'"' | b'\'') => {
            let end = 1 + content[1..].iter().position(|byte| byte == quote)?;
            (&content[1..end], end + 1)
        }
        b'{' | b'[' | b'&' | b'*' | b'!' | b'?' | b'|' | b'>' | b'%' | b'@' | b'`' => return None,
        _ => {
            let end = (0..content.len())
                .find(|&at| content[at] == b':' && content.get(at + 1).is_none_or(u8::is_ascii_whitespace))?;
            (&content[..end], end)
        }
    };
    let behind = content.get(colon..)?.strip_prefix(b":")?;
    let blanks = behind
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    (blanks > 0 || behind.is_empty()).then(|| {
        (
            String::from_utf8_lossy(name.trim_ascii()).into_owned(),
            colon + 1 + blanks,
        )
    })
}

/// The text that a value is, if it is one in one line.
pub(super) fn text_in(value: &[u8]) -> Option<(std::ops::Range<usize>, Form)> {
    match value.first()? {
        b'"' => {
            let mut at = 1;
            while *value.get(at)? != b'"' {
                at += if value[at] == b'\\' { 2 } else { 1 };
            }
            Some((1..at, Form::Json))
        }
        b'\'' => {
            let mut at = 1;
            loop {
                match (value.get(at)?, value.get(at + 1)) {
                    (b'\'', Some(b'\'')) => at += 2,
                    (b'\'', _) => return Some((1..at, Form::Single)),
                    _ => at += 1,
                }
            }
        }
        b'{' | b'[' | b'&' | b'*' | b'!' | b'#' => None,
        _ => {
            let comment =
                (1..value.len()).find(|&at| value[at] == b'#' && value[at - 1].is_ascii_whitespace());
            let length = value[..comment.unwrap_or(value.len())].trim_ascii_end().len();
            Some((0..length, Form::Plain))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let told = |scalar: &Scalar| (scalar.path.join("."), scalar.public(text.as_bytes()).unwrap());
        scalars(text.as_bytes()).iter().map(told).collect()
    }

    fn pairs<const N: usize>(wanted: [(&str, &str); N]) -> Vec<(String, String)> {
        wanted
            .map(|(path, value)| (path.to_owned(), value.to_owned()))
            .to_vec()
    }

    #[test]
    fn mappings_lists_quotes_and_comments_are_read() {
        let text = concat!(
            "# comment\n",
            "binance:   # the account\n",
            "  apiKey: abc # key\n",
            "  'secret': 'it''s'\n",
            "  \"note\": \"a\\\"b: c\"\n",
            "  flow: {a: b}\n",
            "list:\n",
            "- one\n",
            "- name: two\n",
            "  id: x:y\n",
            "  deep:\n",
            "    - z\n",
            "---\n",
            "last: end\r\n",
        );
        assert_eq!(
            read(text),
            pairs([
                ("binance.apiKey", "abc"),
                ("binance.secret", "it's"),
                ("binance.note", "a\"b: c"),
                ("binance.flow.a", "b"),
                ("list.0", "one"),
                ("list.1.name", "two"),
                ("list.1.id", "x:y"),
                ("list.1.deep.0", "z"),
                ("last", "end"),
            ])
        );
    }

    #[test]
    fn environment_sections_of_compose_are_read_in_both_forms() {
        let text = concat!(
            "services:\n",
            "  bot:\n",
            "    environment:\n",
            "      - KRAKEN_SECRET=abc=\n",
            "      - \"FREQTRADE__EXCHANGE__NAME=binance\"\n",
            "  other:\n",
            "    environment:\n",
            "      KRAKEN_SECRET: abc\n",
        );
        assert_eq!(
            read(text),
            pairs([
                ("services.bot.environment.KRAKEN_SECRET", "abc="),
                ("services.bot.environment.FREQTRADE.EXCHANGE.NAME", "binance"),
                ("services.other.environment.KRAKEN_SECRET", "abc"),
            ])
        );
    }

    #[test]
    fn flow_collections_are_read_in_one_line_and_in_several() {
        let text = concat!(
            "\u{feff}kraken: {apiKey: abc, secret: 'x''y' , \"note\": \"a}b\", n: {}, url: http://a:1/}  # end\r\n",
            "list: [{name: one, secret: s#1}, two,]\n",
            "more: { # first\n",
            "    secret: deep, # {hush\n",
            "  }\n",
            "- {id: x}\n",
            "after: ok\n",
            "open: {a: b\n",
        );
        assert_eq!(
            read(text),
            pairs([
                ("kraken.apiKey", "abc"),
                ("kraken.secret", "x'y"),
                ("kraken.note", "a}b"),
                ("kraken.url", "http://a:1/"),
                ("list.0.name", "one"),
                ("list.0.secret", "s#1"),
                ("list.1", "two"),
                ("more.secret", "deep"),
                ("more.0.id", "x"),
                ("after", "ok"),
            ])
        );
    }

    #[test]
    fn a_block_is_a_text_of_lines() {
        let text = "a:\n  secret: |\n    one\n      two\n\n  next: 1\n";
        assert_eq!(read(text), pairs([("a.secret", "one\n  two"), ("a.next", "1")]));
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in [
            "a: |",
            "a: >\n",
            "-",
            "- ",
            "- -",
            "a: \"",
            "a: '",
            ": b",
            "\"",
            "'a",
            "a:\n  |\n",
            "a: \"\\",
            "- a: |\n",
        ] {
            scalars(text.as_bytes());
        }
    }
}
