//! JSON that keeps what it was given: numbers as they were spelt, members in their order, no name twice.

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was spelt.
    Number(String),
    /// A string, unescaped.
    String(String),
    /// An array.
    List(Vec<Json>),
    /// An object, members in their order.
    Object(Vec<(String, Json)>),
}
