//! Signing and publishing checkpoints: of committed states only, never two of one size.

use super::{Archiver, OpenLog, aside};
use crate::audit::Signed;
use crate::error::Error;

impl Archiver {
    /// Publishes a checkpoint over everything that is committed, if there is anything new.
    pub(super) async fn publish(&mut self) -> Result<(), Error> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let checkpoint = open.log.state().checkpoint();
        let key = self.note_key(&checkpoint.origin)?;
        let broker = std::sync::Arc::clone(&self.broker);
        let published = open.log.published().map_or(0, |before| before.size);
        let new = published < checkpoint.size;
        if !new && self.is_known(&open) {
            self.open = Some(open);
            return Ok(());
        }
        let size = checkpoint.size;
        let vkey = key.to_string();
        let root = self.settings.folder.clone();
        let (open, note) = aside(move || {
            if new {
                let issuer = broker.issuer();
                let note = checkpoint
                    .sign(&key, |text| issuer.sign_checkpoint(text))
                    .map_err(Error::log)?;
                open.log
                    .publish_checkpoint(note.as_bytes())
                    .map_err(Error::log)?;
                open.log.prune().map_err(Error::log)?;
                Ok((open, Some(note)))
            } else {
                let note = crate::audit::read_checkpoint(&open.name.folder(&root))?;
                Ok((open, note.map(|(_, note)| note)))
            }
        })
        .await?;
        self.published_at = self.broker.clock.monotonic();
        if let Some(checkpoint) = note {
            let metrics = &self.broker.metrics;
            if new {
                metrics.checkpoints.one();
            }
            metrics.log_size.set(size);
            self.published.send_replace(Some(Signed {
                log: open.name,
                size,
                checkpoint,
                vkey,
            }));
        }
        self.open = Some(open);
        Ok(())
    }

    /// Whether readers have heard of what is published: not so right after a start.
    fn is_known(&self, open: &OpenLog) -> bool {
        let published = self.published.borrow();
        let known = published
            .as_ref()
            .is_some_and(|signed| signed.log == open.name);
        known || open.log.published().is_none()
    }
}
