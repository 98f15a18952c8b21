//! Whether phone numbers can exist: looked at behind the acknowledgement of a message, one at a time, since the numbering
//! plans are slow to load and it changes nothing for the contact.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::model::Phone;
use crate::store::Store;

/// The looks that are under way.
pub struct Phones {
    tasks: TaskTracker,
    turn: Arc<Semaphore>,
}

impl Default for Phones {
    fn default() -> Phones {
        Phones { tasks: TaskTracker::new(), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Phones {
    /// Looks at a number and stores the mark where it is another than `marked`. Does not wait for that.
    pub(super) fn look(&self, store: &Store, phone: Phone, marked: bool) {
        let (store, turn) = (store.clone(), Arc::clone(&self.turn));
        self.tasks.spawn(async move {
            let Ok(_turn) = turn.acquire().await else { return };
            let asked = phone.clone();
            let Ok(valid) = tokio::task::spawn_blocking(move || asked.validates()).await else { return };
            if valid != marked {
                return;
            }
            if !valid {
                warn!(%phone, "no country gives out this phone number; it is used as it was received");
            }
            // It is looked at again tomorrow.
            if let Err(error) = store.mark_phone(phone, !valid).await {
                warn!(%error, "a phone number could not be marked");
            }
        });
    }

    /// Waits until all that is new has been looked at.
    pub async fn settled(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }
}
