//! Checks that headers compile without warnings in the standards that they promise.

use crate::toolchain::{Language, file, run};

/// Compiles a header alone, in each of these standards.
pub fn check(language: Language, header: &str, standards: &[&str]) {
    let kind = match language {
        Language::C => "c",
        Language::Cxx => "c++",
    };
    for standard in standards {
        let mut compiler = language.compiler();
        compiler.args([&format!("-std={standard}"), "-fsyntax-only", "-x", kind]).arg(file(header));
        run(&mut compiler, language.install());
    }
}
