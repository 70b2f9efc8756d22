//! Rewrites a file so that it contains all of its mutants, each switched on at run time.
//!
//! An expression is replaced by `(if ::mutant_switch::active(7) { MUTANT } else { ORIGINAL })`, where ORIGINAL may have further
//! mutants inside and MUTANT has none, since one mutant is active at a time. Differs from a change of the text in one way: the
//! operands of a changed operator remain what they were, whatever the new operator's precedence.

use std::collections::HashMap;
use std::ops::Range;

use proc_macro2::LineColumn;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::mutants::{Genre, Mutant, Position};

/// A file with all of its mutants.
pub struct Rewritten {
    pub text: String,
    /// Mutants that cannot be switched at run time: patterns, constants, and functions that return `impl Trait`.
    pub left_out: Vec<u32>,
}

/// Rewrites the file `source`, to which all of these mutants belong.
pub fn rewrite(source: &str, mutants: &[&Mutant]) -> Rewritten {
    let file = syn::parse_file(source).expect("what compiles can be parsed");
    let mut finder = Finder { source: Source::new(source), wanted: HashMap::new(), edits: Vec::new(), constant: 0 };
    for mutant in mutants {
        let key = (mutant.genre as u8, finder.source.offset(mutant.span.start));
        finder.wanted.entry(key).or_default().push(mutant);
    }
    finder.visit_file(&file);
    let mut left_out: Vec<u32> = finder.wanted.values().flatten().map(|mutant| mutant.number).collect();
    left_out.sort_unstable();
    Rewritten { text: apply(source, finder.edits), left_out }
}

/// Returns the text that holds if only this mutant is active, between marks that [`mutant_at`] finds in error messages.
fn branch(number: u32, code: &str) -> String {
    format!("/*<{number}*/ {code} /*{number}>*/")
}

fn active(number: u32) -> String {
    format!("::mutant_switch::active({number})")
}

/// Returns the mutant whose code is at this byte of a rewritten file.
pub fn mutant_at(text: &str, byte: usize) -> Option<u32> {
    let start = text.get(..byte)?.rfind("/*<")?;
    let (number, _) = text[start + 3..].split_once("*/")?;
    let end = text[start..].find(&format!("/*{number}>*/"))?;
    (byte < start + end).then(|| number.parse().ok()).flatten()
}

/// Text to insert before and after a range of the source.
struct Edit {
    range: Range<usize>,
    before: String,
    after: String,
}

fn apply(source: &str, mut edits: Vec<Edit>) -> String {
    // Outer ranges open first and close last. A statement that is inserted (an empty range) precedes what begins there.
    let mut at_end: Vec<usize> = (0..edits.len()).collect();
    edits.sort_by_key(|edit| (edit.range.start, !edit.range.is_empty(), usize::MAX - edit.range.end));
    at_end.sort_by_key(|&edit| (edits[edit].range.end, usize::MAX - edits[edit].range.start));
    let (mut opens, mut closes) = (edits.iter().peekable(), at_end.into_iter().map(|edit| &edits[edit]).peekable());
    let (mut text, mut copied) = (String::new(), 0);
    loop {
        let open = opens.peek().map_or(usize::MAX, |edit| edit.range.start);
        let close = closes.peek().map_or(usize::MAX, |edit| edit.range.end);
        let at = open.min(close);
        if at == usize::MAX {
            text += &source[copied..];
            return text;
        }
        text += &source[copied..at];
        copied = at;
        // At one place, what ends closes before anything opens; an empty range, which has no `after`, opens.
        if close <= open && closes.peek().is_some_and(|edit| !edit.range.is_empty() || close < open) {
            text += &closes.next().expect("peeked").after;
        } else if open == at {
            text += &opens.next().expect("peeked").before;
        } else {
            closes.next();
        }
    }
}

struct Source<'a> {
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    fn new(text: &'a str) -> Self {
        let starts = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
        Self { text, lines: std::iter::once(0).chain(starts).collect() }
    }

    fn offset(&self, position: Position) -> usize {
        let line = self.lines[position.line - 1];
        let columns = self.text[line..].char_indices().map(|(at, _)| at).chain([self.text.len() - line]);
        line + columns.into_iter().nth(position.column - 1).expect("a column of this line")
    }

    fn offset_of(&self, place: LineColumn) -> usize {
        self.offset(Position { line: place.line, column: place.column + 1 })
    }

    fn range(&self, node: &impl Spanned) -> Range<usize> {
        let span = node.span();
        self.offset_of(span.start())..self.offset_of(span.end())
    }
}

/// Finds the code of each mutant in the syntax tree.
struct Finder<'a> {
    source: Source<'a>,
    /// Mutants that were not found so far, by genre and by the byte at which their span begins.
    wanted: HashMap<(u8, usize), Vec<&'a Mutant>>,
    edits: Vec<Edit>,
    /// The number of constants that contain the current node.
    constant: usize,
}

impl<'a> Finder<'a> {
    fn take(&mut self, genre: Genre, start: usize) -> Vec<&'a Mutant> {
        if self.constant > 0 {
            return Vec::new();
        }
        self.wanted.remove(&(genre as u8, start)).unwrap_or_default()
    }

    /// Wraps the expression at `range` in a choice between itself and its mutants.
    fn wrap(&mut self, range: Range<usize>, mutants: &[&Mutant], code: impl Fn(&Mutant) -> String) {
        if mutants.is_empty() {
            return;
        }
        let mut before = String::from("(");
        for mutant in mutants {
            before += &format!("if {} {{ {} }} else ", active(mutant.number), branch(mutant.number, &code(mutant)));
        }
        before += "{ ";
        self.edits.push(Edit { range, before, after: " })".into() });
    }

    /// Wraps an expression whose mutants replace their own spans.
    fn wrap_replacing(&mut self, range: Range<usize>, mutants: &[&Mutant]) {
        let spans: Vec<_> =
            mutants.iter().map(|m| self.source.offset(m.span.start)..self.source.offset(m.span.end)).collect();
        let text = self.source.text;
        let (start, end) = (range.start, range.end);
        self.wrap(range, mutants, |mutant| {
            let at = mutants.iter().position(|m| m.number == mutant.number).expect("one of them");
            let span = &spans[at];
            format!("{}{}{}", &text[start..span.start], mutant.replacement, &text[span.end..end])
        });
    }

    fn body(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let Some(first) = block.stmts.first() else { return };
        let is_impl_trait = |returned: &syn::Type| matches!(returned, syn::Type::ImplTrait(_));
        if matches!(&signature.output, syn::ReturnType::Type(_, returned) if is_impl_trait(returned)) {
            return;
        }
        let start = self.source.range(first).start;
        for mutant in self.take(Genre::FnValue, start) {
            let code = branch(mutant.number, &format!("return {};", mutant.replacement));
            let before = format!("if {} {{ {code} }} ", active(mutant.number));
            self.edits.push(Edit { range: start..start, before, after: String::new() });
        }
    }

    fn in_constant(&mut self, visit: impl FnOnce(&mut Self)) {
        self.constant += 1;
        visit(self);
        self.constant -= 1;
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.body(&node.sig, &node.block);
        visit::visit_item_fn(self, node);
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.body(&node.sig, &node.block);
        visit::visit_impl_item_fn(self, node);
    }

    fn visit_trait_item_fn(&mut self, node: &'ast syn::TraitItemFn) {
        if let Some(block) = &node.default {
            self.body(&node.sig, block);
        }
        visit::visit_trait_item_fn(self, node);
    }

    fn visit_expr_binary(&mut self, node: &'ast syn::ExprBinary) {
        let operator = self.source.range(&node.op).start;
        let mutants = self.take(Genre::BinaryOperator, operator);
        self.wrap_replacing(self.source.range(node), &mutants);
        visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &'ast syn::ExprUnary) {
        let range = self.source.range(node);
        let mutants = self.take(Genre::UnaryOperator, range.start);
        self.wrap_replacing(range, &mutants);
        visit::visit_expr_unary(self, node);
    }

    fn visit_expr_struct(&mut self, node: &'ast syn::ExprStruct) {
        let starts: Vec<usize> = node.fields.iter().map(|field| self.source.range(field).start).collect();
        let mutants: Vec<_> = starts.into_iter().flat_map(|start| self.take(Genre::StructField, start)).collect();
        self.wrap_replacing(self.source.range(node), &mutants);
        visit::visit_expr_struct(self, node);
    }

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        let start = self.source.range(node).start;
        for mutant in self.take(Genre::MatchArm, start) {
            let end = self.source.range(&node.pat).end;
            let before = format!(" if !{}", active(mutant.number));
            self.edits.push(Edit { range: end..end, before, after: String::new() });
        }
        if let Some((_, guard)) = &node.guard {
            let range = self.source.range(guard);
            let mutants = self.take(Genre::MatchArmGuard, range.start);
            self.wrap(range, &mutants, |mutant| mutant.replacement.clone());
        }
        visit::visit_arm(self, node);
    }

    // Evaluated by the compiler.
    fn visit_pat(&mut self, node: &'ast syn::Pat) {
        self.in_constant(|finder| visit::visit_pat(finder, node));
    }

    fn visit_type(&mut self, node: &'ast syn::Type) {
        self.in_constant(|finder| visit::visit_type(finder, node));
    }

    fn visit_item_const(&mut self, node: &'ast syn::ItemConst) {
        self.in_constant(|finder| visit::visit_item_const(finder, node));
    }

    fn visit_impl_item_const(&mut self, node: &'ast syn::ImplItemConst) {
        self.in_constant(|finder| visit::visit_impl_item_const(finder, node));
    }

    fn visit_item_static(&mut self, node: &'ast syn::ItemStatic) {
        self.in_constant(|finder| visit::visit_item_static(finder, node));
    }

    fn visit_expr_const(&mut self, node: &'ast syn::ExprConst) {
        self.in_constant(|finder| visit::visit_expr_const(finder, node));
    }

    fn visit_expr_repeat(&mut self, node: &'ast syn::ExprRepeat) {
        self.visit_expr(&node.expr);
        self.in_constant(|finder| finder.visit_expr(&node.len));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::Span;

    /// Returns a mutant that replaces `old`, which occurs once in `source`.
    fn mutant(number: u32, genre: Genre, source: &str, old: &str, replacement: &str) -> Mutant {
        let start = source.find(old).expect("it occurs");
        assert_eq!(source.matches(old).count(), 1, "{old}");
        let position = |byte: usize| Position {
            line: source[..byte].matches('\n').count() + 1,
            column: source[..byte].chars().rev().take_while(|&c| c != '\n').count() + 1,
        };
        let span = Span { start: position(start), end: position(start + old.len()) };
        Mutant { number, name: String::new(), file: String::new(), span, replacement: replacement.into(), genre }
    }

    /// Rewrites `source` with the mutants `(number, genre, old, replacement)`, without marks and with short calls.
    fn rewritten(source: &str, mutants: &[(u32, Genre, &str, &str)]) -> (String, Vec<u32>) {
        let mutants: Vec<_> = mutants.iter().map(|&(n, genre, old, new)| mutant(n, genre, source, old, new)).collect();
        let Rewritten { text, left_out } = rewrite(source, &mutants.iter().collect::<Vec<_>>());
        syn::parse_file(&text).expect("it can be parsed");
        let mut text = text.replace("::mutant_switch::active", "m");
        for Mutant { number, .. } in &mutants {
            text = text.replace(&format!("/*<{number}*/ "), "").replace(&format!(" /*{number}>*/"), "");
        }
        (text, left_out)
    }

    #[track_caller]
    fn assert_rewritten(source: &str, mutants: &[(u32, Genre, &str, &str)], expected: &str) {
        assert_eq!(rewritten(source, mutants), (expected.into(), vec![]));
    }

    #[test]
    fn a_body_begins_with_its_mutants() {
        assert_rewritten(
            "fn f() -> u8 { let a = 1; a }",
            &[(1, Genre::FnValue, "let a = 1; a", "0"), (2, Genre::FnValue, "let a = 1; a", "7")],
            "fn f() -> u8 { if m(1) { return 0; } if m(2) { return 7; } let a = 1; a }",
        );
    }

    #[test]
    fn operators_are_chosen_with_the_operands_as_they_were() {
        assert_rewritten(
            "fn f() -> u8 { a + b * c }",
            &[
                (1, Genre::FnValue, "a + b * c", "0"),
                (2, Genre::BinaryOperator, "+", "-"),
                (3, Genre::BinaryOperator, "*", "/"),
            ],
            "fn f() -> u8 { if m(1) { return 0; } (if m(2) { a - b * c } else { a + (if m(3) { b / c } else { b * c }) }) }",
        );
        assert_rewritten(
            "fn f() { x -= é(!y) }",
            &[(4, Genre::BinaryOperator, "-=", "+="), (5, Genre::UnaryOperator, "!", "")],
            "fn f() { (if m(4) { x += é(!y) } else { x -= é((if m(5) { y } else { !y })) }) }",
        );
    }

    #[test]
    fn what_begins_and_ends_at_the_same_place_is_nested() {
        assert_rewritten(
            "fn f() { -a < b && c }",
            &[
                (1, Genre::BinaryOperator, "&&", "||"),
                (2, Genre::BinaryOperator, "<", "<="),
                (3, Genre::UnaryOperator, "-", ""),
            ],
            "fn f() { (if m(1) { -a < b || c } else { (if m(2) { -a <= b } else { (if m(3) { a } else { -a }) < b }) && c }) }",
        );
    }

    #[test]
    fn arms_and_their_guards_are_switched_by_guards() {
        assert_rewritten(
            "fn f() { match a { 1 | 2 => x, 3 if b => y, _ => z } }",
            &[
                (1, Genre::MatchArm, "1 | 2 => x,", ""),
                (2, Genre::MatchArmGuard, "b", "true"),
                (3, Genre::MatchArmGuard, "b", "false"),
            ],
            "fn f() { match a { 1 | 2 if !m(1) => x, 3 if (if m(2) { true } else if m(3) { false } else { b }) => y, _ => z } }",
        );
    }

    #[test]
    fn a_field_is_left_out_of_its_struct() {
        assert_rewritten(
            "fn f() -> S { S { a: 1, b, ..s } }",
            &[(1, Genre::StructField, "a: 1,", "")],
            "fn f() -> S { (if m(1) { S {  b, ..s } } else { S { a: 1, b, ..s } }) }",
        );
    }

    #[test]
    fn what_the_compiler_evaluates_is_left_out() {
        let source = "const A: u8 = 1 << 2; fn f() -> impl Fn() { let [0..-1] = [x + y; 2 * 3]; g }";
        let mutants = [
            (1, Genre::BinaryOperator, "<<", ">>"),
            (2, Genre::FnValue, "let [0..-1] = [x + y; 2 * 3]; g", "h"),
            (3, Genre::UnaryOperator, "-1", "1"),
            (4, Genre::BinaryOperator, "+", "-"),
            (5, Genre::BinaryOperator, "*", "+"),
        ];
        let source_of_4 = "const A: u8 = 1 << 2; fn f() -> impl Fn() { let [0..-1] = [(if m(4) { x - y } else { x + y }); 2 * 3]; g }";
        assert_eq!(rewritten(source, &mutants), (source_of_4.into(), vec![1, 2, 3, 5]));
    }

    #[test]
    fn errors_are_found_in_the_code_of_their_mutant() {
        let text = format!("a {} b {}", branch(1, "x"), branch(23, "y"));
        for (code, mutant) in [("a", None), ("x", Some(1)), ("b", None), ("y", Some(23))] {
            assert_eq!(mutant_at(&text, text.find(code).expect("it occurs")), mutant);
        }
    }
}
