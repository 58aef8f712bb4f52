//! The `seqc` command: everything is in `seqc::cli`.

fn main() -> std::process::ExitCode {
    seqc::cli::main()
}
