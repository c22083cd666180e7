//! Has the agent sign a request with the key named by the first argument, with nothing but the standard library. A bot reads
//! the answer with its JSON library; here the line is printed as it came.

use std::{
    env,
    error::Error,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
};

fn socket() -> Result<String, Box<dyn Error>> {
    if let Ok(path) = env::var("HSMSIGN_SOCKET") {
        return Ok(path);
    }
    if let Ok(home) = env::var("HSMSIGN_HOME") {
        return Ok(format!("{home}/agent.sock"));
    }
    Ok(format!("{}/hsmsign/agent.sock", env::var("XDG_RUNTIME_DIR")?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let key = env::args().nth(1).ok_or("usage: balance KEY")?;
    let mut agent = UnixStream::connect(socket()?)?;
    writeln!(agent, r#"{{"key":"{key}","method":"POST","path":"/0/private/Balance"}}"#)?;
    let mut answer = String::new();
    BufReader::new(agent).read_line(&mut answer)?;
    print!("{answer}");
    if answer.is_empty() {
        return Err("the agent went away; the request may have been signed".into());
    }
    if answer.starts_with(r#"{"ok":true"#) {
        return Ok(());
    }
    Err("the request was not signed".into())
}
