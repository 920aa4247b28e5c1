use std::time::Duration;

use wire::TopicName;

use super::*;
use crate::Config;
use crate::clock::Clock;
use crate::queues::QueueLimits;

/// There may be 100,000 topics, each with a task, so rare work is boxed.
#[test]
fn a_topics_task_stays_small() {
    let queues = QueueLimits::of_one(1);
    let settings = TopicSettings::new(&Config::default(), queues.clone(), None, Clock::for_tests());
    let settings = Arc::new(settings.unwrap());
    let expiring = Arc::new(Expiring::new(Duration::from_secs(1)));
    let topic = Arc::new(Topic::new(TopicName::new("T").unwrap(), queues, 0));
    let registry = Arc::new(());
    let task = run(topic, settings, expiring, move |_| {
        Arc::strong_count(&registry) > 1
    });
    // With 920, what the runtime adds makes it 1,024: a block of its own size.
    assert!(size_of_val(&task) <= 920, "{}", size_of_val(&task));
    assert!(size_of::<Topic>() <= 160, "{}", size_of::<Topic>());
}
