//! A template to be sent: its id and its variables.

use std::collections::BTreeMap;
use std::fmt;

use super::ContentSid;

/// The most characters that all variables of a template may hold (Twilio, error 63021).
const MAX_VARIABLE_CHARS: usize = 1600;

/// An approved template and its variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The template's id.
    pub sid: ContentSid,
    /// The values of its variables.
    pub variables: Variables,
}

/// The variables of a template by their names, such as `1` or `order`. Its `Debug` shows only the names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

/// Why WhatsApp would not accept these variables (Twilio, error 21656).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VariablesError {
    /// A name is not valid.
    #[error("{0:?} is not a valid name for a variable: use up to 64 letters, digits and _, such as 1")]
    Name(String),
    /// Two variables have the same name.
    #[error("the variable {0} is given twice")]
    Twice(String),
    /// A value is empty.
    #[error("the variable {0} is empty, which WhatsApp does not accept")]
    Empty(String),
    /// A value contains a line break, a tab, or too many spaces.
    #[error(
        "the variable {0} contains a line break, a tab or more than four spaces in a row, \
         which WhatsApp does not accept"
    )]
    Spaces(String),
    /// The values are too long in total.
    #[error("the variables hold {0} characters in total, and Twilio accepts at most {MAX_VARIABLE_CHARS}")]
    Long(usize),
}

impl Variables {
    /// Creates variables from pairs of name and value.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Variables, VariablesError> {
        let mut all = BTreeMap::new();
        for (name, value) in pairs {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
                return Err(VariablesError::Name(name));
            }
            if value.trim().is_empty() {
                return Err(VariablesError::Empty(name));
            }
            if value.chars().any(char::is_control) || value.contains("     ") {
                return Err(VariablesError::Spaces(name));
            }
            if all.insert(name.clone(), value).is_some() {
                return Err(VariablesError::Twice(name));
            }
        }
        let variables = Variables(all);
        let long = variables.json().map_or(0, |json| json.chars().count());
        if long > MAX_VARIABLE_CHARS { Err(VariablesError::Long(long)) } else { Ok(variables) }
    }

    /// Returns the variables as Twilio takes them: a JSON object in a string. Returns `None` if there are none.
    pub fn json(&self) -> Option<String> {
        let json = || serde_json::to_string(&self.0).expect("writing strings to memory as JSON does not fail");
        (!self.0.is_empty()).then(json)
    }

    /// Reads what [`Variables::json`] wrote.
    pub fn parse(json: &str) -> Option<Variables> {
        serde_json::from_str(json).ok().map(Variables)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Prints the template as it stands in the history: `HX… with 1=Ana, 2=Monday`.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sid.as_str())?;
        for (at, (name, value)) in self.variables.0.iter().enumerate() {
            write!(f, "{}{name}={value}", if at == 0 { " with " } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Variables, VariablesError> {
        Variables::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn variables_are_a_json_object_in_a_string() {
        let variables = of(&[("2", "at \"ten\""), ("1", "Ana 👋")]).unwrap();
        let json = variables.json().unwrap();
        assert_eq!(json, r#"{"1":"Ana 👋","2":"at \"ten\""}"#);
        assert_eq!(Variables::parse(&json), Some(variables.clone()));
        assert_eq!((of(&[]).unwrap().json(), Variables::parse("[]")), (None, None));
        assert_eq!(format!("{variables:?}"), r#"{"1", "2"}"#);
        let sid = ContentSid::parse("HX00000000000000000000000000000001").unwrap();
        let template = Template { sid, variables };
        assert_eq!(template.to_string(), "HX00000000000000000000000000000001 with 1=Ana 👋, 2=at \"ten\"");
    }

    #[test]
    fn a_template_variable_that_whatsapp_refuses_is_named() {
        for (pairs, wrong) in [
            (&[("", "x")][..], "name"),
            (&[("a b", "x")], "name"),
            (&[("1", "x"), ("1", "y")], "twice"),
            (&[("1", " ")], "empty"),
            (&[("1", "a\nb")], "line break"),
            (&[("1", "a\tb")], "tab"),
            (&[("1", "a     b")], "spaces"),
        ] {
            let error = of(pairs).unwrap_err().to_string();
            assert!(error.contains(wrong), "{pairs:?} {error}");
        }
        let room = MAX_VARIABLE_CHARS - r#"{"1":""}"#.len();
        assert!(of(&[("1", &"é".repeat(room)),]).is_ok() && of(&[("1", "a    b")]).is_ok());
        assert_eq!(of(&[("1", &"é".repeat(room + 1))]), Err(VariablesError::Long(MAX_VARIABLE_CHARS + 1)));
    }
}
