//! The schemes that are read in a way of their own. Identifiers of any other scheme are compared as they stand.

/// Telephone numbers.
pub const TEL: &str = "tel";
/// E-mail addresses.
pub const EMAIL: &str = "email";
/// Web pages.
pub const WEB: &str = "web";
/// How schemes of social networks begin.
pub const SOCIAL: &str = "social.";
/// How schemes of tax registers begin.
pub const TAX: &str = "tax.";
