//! The mock plugin as a native go-plugin executable.

fn main() -> std::process::ExitCode {
    palisade_mock::main()
}
