//! What the demonstration says on the terminal.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "speaking is this program's purpose"
)]

/// Opens a chapter.
pub(crate) fn act(title: &str) {
    println!("\n== {title}");
}

/// Says one thing.
pub(crate) fn say(text: &str) {
    println!("   {text}");
}

/// Shows a command, as it could be typed, and what it printed.
pub(crate) fn command(line: &str, output: &str) {
    println!(" $ {line}");
    for line in output.lines().filter(|line| !line.is_empty()) {
        println!("   {line}");
    }
}

/// Shows a request and its answer.
pub(crate) fn exchange(request: &str, answer: &str) {
    println!(" > {request}");
    println!(" < {answer}");
}

/// Says why the demonstration ended early.
pub(crate) fn failure(error: &anyhow::Error) {
    eprintln!("\nThe demonstration failed: {error:#}");
}
