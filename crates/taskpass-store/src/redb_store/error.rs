//! redb's errors, as the store's.

use std::error::Error;

use crate::error::StoreError;

/// Says what was being done when something failed.
pub(super) trait During<T> {
    /// Wraps the error; `operation` continues "the store failed while it …".
    fn during(self, operation: &'static str) -> Result<T, StoreError>;
}

impl<T, E: Error + Send + Sync + 'static> During<T> for Result<T, E> {
    fn during(self, operation: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Backend {
            operation,
            source: Box::new(source),
        })
    }
}
