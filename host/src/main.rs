//! The executable. All that it does is in the library, which is compiled beside the last of the runtime, not after it.

use std::process::ExitCode;

fn main() -> ExitCode {
    palisade::main()
}
