//! A record of a cluster's log as what it is here: publications, and what the history keeps of
//! them.

use std::sync::Arc;

use crate::cluster::record::{Message, Record};
use crate::history::entry::Entry;
use crate::identity::Identity;
use crate::outbox::batch::Batch;
use crate::topic::publication::{Publication, Reply};
use crate::topic::render::{EncodedBatch, render};

/// A record's messages, whoever sent them.
pub(crate) fn publications(record: &Record) -> Vec<Publication> {
    let mut last: Option<Arc<Identity>> = None;
    let publication = |message: &Message| {
        let is_same = |known: &Arc<Identity>| {
            known.publisher == message.publisher
                && known.user == message.user
                && known.account == message.account
        };
        if !last.as_ref().is_some_and(is_same) {
            let (user, account) = (message.user.clone(), message.account.clone());
            let identity = Identity::of_publisher(message.publisher, user, account);
            last = identity.map(Arc::new);
        }
        Publication {
            origin: None,
            identity: last.clone(),
            batch: Batch::owned(message.lines.clone(), message.count),
            reply: Reply::None,
        }
    };
    record.messages().map(publication).collect()
}

/// The messages of a record as extended connections get them.
pub(crate) fn entries(record: &Record) -> Vec<Entry> {
    let publications = publications(record);
    let pieces = render(
        &publications,
        record.stamp,
        Some(record.first),
        record.epoch,
    );
    let entry = |piece: &EncodedBatch| Entry {
        first: piece.first.unwrap_or(record.first),
        count: piece.batch.count(),
        time: record.time,
        publisher: publications
            .get(piece.publication)
            .and_then(|publication| publication.identity.as_ref())
            .map_or(0, |identity| identity.publisher),
        lines: piece.batch.bytes().clone(),
    };
    pieces.iter().map(entry).collect()
}
