//! The KV plugin as a native go-plugin executable.

fn main() -> std::process::ExitCode {
    palisade_kv::main()
}
