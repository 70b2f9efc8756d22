//! Responses as lists of fields: each with its path, such as `responses[0].partition_responses[0].error_code`, and its value.

/// A field of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) path: String,
    pub(crate) value: String,
}

impl Field {
    pub(crate) fn new(path: impl Into<String>, value: impl Into<String>) -> Self {
        Self { path: path.into(), value: value.into() }
    }

    /// Returns the field's own name.
    pub(crate) fn name(&self) -> &str {
        let last = self.path.rsplit('.').next().unwrap_or_default();
        last.split('[').next().unwrap_or_default()
    }

    fn is_in(&self, field: &str) -> bool {
        self.path.split('.').any(|part| part.split('[').next() == Some(field))
    }
}

/// A structure that is open at a line.
struct Level {
    component: String,
    /// The number of elements so far, if it is a list.
    elements: Option<usize>,
}

/// Returns the fields of a value from its pretty debug text, in which newtypes and `Some` are left out.
pub(crate) fn fields(pretty: &str) -> Vec<Field> {
    let mut levels: Vec<Level> = Vec::new();
    let mut fields = Vec::new();
    for line in pretty.lines() {
        let line = line.trim();
        let line = line.strip_suffix(',').unwrap_or(line);
        if matches!(line, "}" | "]" | ")") {
            levels.pop();
            continue;
        }
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let (name, value) = match line.split_once(": ") {
            Some((name, value)) if is_name(name) => (Some(name), value),
            _ => (None, line),
        };
        let component = match (name, levels.last_mut().and_then(|level| level.elements.as_mut())) {
            (Some(name), _) => format!(".{name}"),
            (None, Some(next)) => {
                *next += 1;
                format!("[{}]", *next - 1)
            }
            (None, None) => String::new(),
        };
        match value.chars().last() {
            Some('{' | '(') => levels.push(Level { component, elements: None }),
            Some('[') => levels.push(Level { component, elements: Some(0) }),
            _ => {
                let path: String = levels.iter().map(|level| level.component.as_str()).chain([&*component]).collect();
                fields.push(Field::new(path.trim_start_matches('.'), value));
            }
        }
    }
    fields
}

/// Removes the fields with this name, or in a structure with this name, and returns them. `*` is every field.
pub(crate) fn take(fields: &mut Vec<Field>, name: &str) -> Vec<Field> {
    let (taken, left) = std::mem::take(fields).into_iter().partition(|field| name == "*" || field.is_in(name));
    *fields = left;
    taken
}

/// Returns the first field in which two responses differ, with both values.
pub(crate) fn first_difference(left: &[Field], right: &[Field]) -> Option<String> {
    let count = left.len().max(right.len());
    let position = (0..count).find(|&position| left.get(position) != right.get(position))?;
    let shown =
        |field: Option<&Field>| field.map_or("nothing".to_owned(), |field| format!("{} = {}", field.path, field.value));
    Some(format!("{} ≠ {}", shown(left.get(position)), shown(right.get(position))))
}

/// Returns the fields as text, a line each.
pub(crate) fn text(fields: &[Field]) -> String {
    fields.iter().map(|field| format!("       {} = {}\n", field.path, field.value)).collect()
}

#[test]
fn a_structure_becomes_paths() {
    #[derive(Debug)]
    #[allow(dead_code)]
    struct Name(&'static str);
    #[derive(Debug)]
    #[allow(dead_code)]
    struct Topic {
        name: Option<Name>,
        numbers: Vec<i32>,
        none: Vec<i32>,
        text: &'static str,
    }
    #[derive(Debug)]
    #[allow(dead_code)]
    struct All {
        topics: Vec<Topic>,
        code: i16,
    }
    let topic = |name| Topic { name, numbers: vec![7, 8], none: vec![], text: "a: b {" };
    let all = All { topics: vec![topic(Some(Name("n"))), topic(None)], code: 3 };
    let found: Vec<_> = fields(&format!("{all:#?}")).into_iter().map(|field| (field.path, field.value)).collect();
    let found: Vec<_> = found.iter().map(|(path, value)| (path.as_str(), value.as_str())).collect();
    let expected = [
        ("topics[0].name", "\"n\""),
        ("topics[0].numbers[0]", "7"),
        ("topics[0].numbers[1]", "8"),
        ("topics[0].none", "[]"),
        ("topics[0].text", "\"a: b {\""),
        ("topics[1].name", "None"),
        ("topics[1].numbers[0]", "7"),
        ("topics[1].numbers[1]", "8"),
        ("topics[1].none", "[]"),
        ("topics[1].text", "\"a: b {\""),
        ("code", "3"),
    ];
    assert_eq!(found, expected);
}
