//! Methods beside the API, for `taskpass bench`: the floors that its figures stand on.
//!
//! They run behind the same TLS, the same gate and the same limits as the API, so that what they
//! leave out is what the API does. Only a store that was made for development gets them: `serve`
//! refuses such a store, and passes none to [`crate::start`].

use tonic::service::Routes;

use crate::access::Access;

/// Methods of a bench: what adds their services, and who may call them.
pub struct Floors {
    pub(crate) rows: &'static [Access],
    add: Box<dyn FnOnce(Routes) -> Routes + Send>,
}

impl std::fmt::Debug for Floors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Floors")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Floors {
    /// What `add` adds, callable as `rows` say. A method without a row is denied like any other.
    pub fn new(
        rows: &'static [Access],
        add: impl FnOnce(Routes) -> Routes + Send + 'static,
    ) -> Self {
        Self {
            rows,
            add: Box::new(add),
        }
    }

    /// The routes with those of the bench.
    pub(crate) fn add_to(self, routes: Routes) -> Routes {
        (self.add)(routes)
    }
}
