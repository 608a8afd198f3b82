//! A new migration is compiled in, also where no source changed.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
