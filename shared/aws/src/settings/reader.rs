//! Reads variables one by one, and keeps every problem.

use engine::error::{Error, Result};

/// What a rule says of a value: what it means, or what is wrong with it (`must …`).
pub(super) type Ruling<T> = std::result::Result<T, String>;

/// Reads variables, and collects what is wrong with them.
pub(super) struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, problems: Vec::new() }
    }

    /// A variable's value without space around it; `None` when it is absent or empty.
    fn value(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Adds a problem that is one of several variables together.
    pub(super) fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    /// A variable that may be absent.
    pub(super) fn optional<T>(&mut self, name: &str, example: &str, rule: impl FnOnce(&str) -> Ruling<T>) -> Option<T> {
        let value = self.value(name)?;
        match rule(&value) {
            Ok(meaning) => Some(meaning),
            Err(wrong) => {
                self.problems.push(format!("{name} {wrong} (example: {example})"));
                None
            }
        }
    }

    /// A variable that must be there.
    pub(super) fn required<T>(&mut self, name: &str, example: &str, rule: impl FnOnce(&str) -> Ruling<T>) -> Option<T> {
        if !self.is_set(name) {
            self.problems.push(format!("{name} is missing (example: {example})"));
        }
        self.optional(name, example, rule)
    }

    /// A variable that must be there if `needed`.
    pub(super) fn either<T>(
        &mut self,
        needed: bool,
        name: &str,
        example: &str,
        rule: impl FnOnce(&str) -> Ruling<T>,
    ) -> Option<T> {
        if needed { self.required(name, example, rule) } else { self.optional(name, example, rule) }
    }

    /// A variable that has a default.
    pub(super) fn or<T>(&mut self, name: &str, example: &str, default: T, rule: impl FnOnce(&str) -> Ruling<T>) -> T {
        self.optional(name, example, rule).unwrap_or(default)
    }

    /// The settings, if nothing was wrong with them.
    pub(super) fn finish<T>(self, settings: T) -> Result<T> {
        match self.problems.len() {
            0 => Ok(settings),
            1 => Err(Error::invalid(format!("a setting is wrong: {}", self.problems.join("; ")))),
            n => Err(Error::invalid(format!("{n} settings are wrong: {}", self.problems.join("; ")))),
        }
    }
}
