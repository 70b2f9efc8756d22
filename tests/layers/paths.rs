//! The paths in Rust source that begin with `crate`, `super`, `self`, or with the name of a submodule in a `use`.

use crate::tokens::{is_name, tokens};

/// A path below the root of its crate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Line in the source, from 1.
    pub(crate) line: usize,
    /// The names, from the root of the crate. Of `use a::{b, c}` there are two paths, of `use a::*` there is `a`.
    pub(crate) path: Vec<String>,
    /// Whether it is in an inline module `tests`.
    pub(crate) is_test: bool,
}

/// An inline module around a place in the source.
struct Inline<'w> {
    name: &'w str,
    /// How many braces are open in front of it.
    outside: usize,
}

/// Returns the paths in the source of a module, in their order.
pub(crate) fn references(source: &str, module: &[String]) -> Vec<Reference> {
    let tokens = tokens(source);
    let words: Vec<&str> = tokens.iter().map(|(_, token)| token.as_str()).collect();
    let mut inline: Vec<Inline<'_>> = Vec::new();
    let mut open = 0;
    let mut found = Vec::new();
    for (at, &word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| words[before]);
        match word {
            "{" => {
                if at >= 2 && words[at - 2] == "mod" {
                    inline.push(Inline { name: words[at - 1], outside: open });
                }
                open += 1;
            }
            "}" => {
                open -= 1;
                inline.retain(|module| module.outside < open);
            }
            _ => {
                let is_rooted = matches!(word, "crate" | "super" | "self");
                let is_path = words.get(at + 1) == Some(&"::") && before != Some("::");
                if is_path && (is_rooted || before == Some("use") && is_name(word)) {
                    let mut here = module.to_vec();
                    here.extend(inline.iter().map(|module| module.name.to_owned()));
                    let is_test = inline.iter().any(|module| module.name == "tests");
                    follow(&words, at, here, &mut |path| found.push(Reference { line: tokens[at].0, path, is_test }));
                }
            }
        }
    }
    found
}

/// Follows the path (or tree of paths) at `at`, which is relative to `base`. Reports each path, and returns the place
/// behind it.
fn follow(words: &[&str], mut at: usize, mut base: Vec<String>, report: &mut dyn FnMut(Vec<String>)) -> usize {
    loop {
        match words.get(at).copied() {
            Some("crate") => base.clear(),
            Some("super") => drop(base.pop()),
            Some("self" | "*") => {}
            Some("{") => {
                at += 1;
                while words.get(at).is_some_and(|word| *word != "}") {
                    at = follow(words, at, base.clone(), report);
                    at += usize::from(words.get(at) == Some(&","));
                }
                return at + 1;
            }
            Some(name) => base.push(name.to_owned()),
            None => return at,
        }
        at += 1;
        let continues = words.get(at) == Some(&"::")
            && words.get(at + 1).is_some_and(|next| is_name(next) || matches!(*next, "{" | "*"));
        if !continues {
            report(base);
            // A turbofish (`Vec::<u8>`) ends the path, and so does `as`.
            return if words.get(at) == Some(&"as") { at + 2 } else { at };
        }
        at += 1;
    }
}

#[test]
fn paths_are_complete() {
    let seen = |source: &str, module: &[&str]| {
        let module: Vec<_> = module.iter().map(|&name| name.to_owned()).collect();
        let found = references(source, &module).into_iter();
        found.map(|Reference { path, is_test, .. }| (path.join("::"), is_test)).collect::<Vec<_>>()
    };
    let of = |path: &str| (path.to_owned(), false);
    assert_eq!(seen("use crate::a::b::C as D;", &["x"]), [of("a::b::C")]);
    assert_eq!(seen("use crate::a::{self, b::{C, E}, f::*};", &["x"]), ["a", "a::b::C", "a::b::E", "a::f"].map(of));
    assert_eq!(seen("pub(super) use self::a::B; fn f() { super::g() }", &["x", "y"]), ["x::y::a::B", "x::g"].map(of));
    assert_eq!(seen("use a::B; let c = a::b();", &["x"]), [of("x::a::B")], "a submodule, or another crate");
    assert_eq!(seen("let a = crate::b::C::<u8>::new();", &["x"]), [of("b::C")]);
    assert_eq!(seen("mod tests { use super::*; }", &["x", "y"]), [("x::y".to_owned(), true)]);
}
