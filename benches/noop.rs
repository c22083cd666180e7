//! What it costs to start a process that does nothing: the floor under every one-shot.
fn main() {}
