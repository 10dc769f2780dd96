//! [`ExtensionParams`].

/// The parameters of an offer or an answer (RFC 6455 §9.1), in order.
///
/// ```
/// use wse_transport::ws::ExtensionParams;
/// let params = ExtensionParams::default().flag("fast").value("level", "3");
/// assert_eq!(params.get("level"), Some(Some("3")));
/// assert_eq!(params.get("fast"), Some(None));
/// assert_eq!(params.get("slow"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionParams(Vec<(String, Option<String>)>);

impl ExtensionParams {
    /// Adds a parameter without a value. The name must be a token.
    #[must_use]
    pub fn flag(mut self, name: impl Into<String>) -> Self {
        self.0.push((name.into(), None));
        self
    }

    /// Adds a parameter with a value. Both must be tokens.
    #[must_use]
    pub fn value(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((name.into(), Some(value.into())));
        self
    }

    /// The value of the first parameter of this name: `None` when it is absent, `Some(None)` without a value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.iter().find(|it| it.0 == name).map(|it| it.1)
    }

    /// All parameters, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}
