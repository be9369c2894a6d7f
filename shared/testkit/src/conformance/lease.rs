//! The suite of the leases of a [`Catalog`].

use super::{fails, fresh};
use engine::catalog::Catalog;
use engine::clock::Timestamp;
use engine::error::ErrorKind;

/// What every catalog does with leases. The instants are given to it, so no clock is asked.
pub async fn leases(catalog: &dyn Catalog) {
    a_lease_excludes_others_until_it_expires(catalog).await;
    its_holder_may_take_and_extend_it_again(catalog).await;
    who_lost_it_cannot_extend_it(catalog).await;
    a_lease_may_be_given_up(catalog).await;
    leases_of_other_names_are_other_leases(catalog).await;
    of_many_who_ask_one_gets_it(catalog).await;
}

/// The instant that is so many seconds into the test.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_316_400_000).plus_s(seconds)
}

fn a_millisecond_after(t: Timestamp) -> Timestamp {
    Timestamp::from_millis(t.as_millis() + 1)
}

fn name() -> String {
    format!("conformance-{}", fresh())
}

async fn a_lease_excludes_others_until_it_expires(catalog: &dyn Catalog) {
    let (name, first, second) = (name(), fresh(), fresh());
    let lease = catalog.acquire(&name, &first, at(0), at(60)).await.expect("a free lease");
    assert_eq!((&lease.name, &lease.holder, lease.expires_at), (&name, &first, at(60)));
    assert!(lease.epoch >= 1);
    for now in [at(0), at(59), at(60)] {
        let e = fails(catalog.acquire(&name, &second, now, at(120)).await, ErrorKind::Conflict, "a lease that is held");
        let text = e.to_string();
        assert!(text.contains(&first) && text.contains(&at(60).to_string()), "who holds it, and until when: {text}");
    }
    let now = a_millisecond_after(at(60));
    let taken = catalog.acquire(&name, &second, now, at(120)).await.expect("an expired lease");
    assert_eq!((taken.holder, taken.epoch, taken.expires_at), (second, lease.epoch + 1, at(120)));
}

async fn its_holder_may_take_and_extend_it_again(catalog: &dyn Catalog) {
    let (name, holder) = (name(), fresh());
    let lease = catalog.acquire(&name, &holder, at(0), at(60)).await.expect("a free lease");
    let again = catalog.acquire(&name, &holder, at(10), at(70)).await.expect("its own lease");
    assert_eq!((again.epoch, again.expires_at), (lease.epoch, at(70)), "the epoch stays with the holder");
    let renewed = catalog.renew(&again, at(80)).await.expect("renew");
    assert_eq!((renewed.epoch, renewed.expires_at, &renewed.holder), (lease.epoch, at(80), &holder));
    fails(catalog.acquire(&name, &fresh(), at(75), at(135)).await, ErrorKind::Conflict, "a lease that was extended");
    // Long expired, and nobody took it.
    let late = catalog.renew(&renewed, at(1_000)).await.expect("renew what nobody took");
    assert_eq!(late.epoch, lease.epoch);
    let later = catalog.acquire(&name, &holder, at(5_000), at(5_060)).await.expect("its own lease");
    assert_eq!(later.epoch, lease.epoch);
}

async fn who_lost_it_cannot_extend_it(catalog: &dyn Catalog) {
    let (name, first, second) = (name(), fresh(), fresh());
    let lost = catalog.acquire(&name, &first, at(0), at(60)).await.expect("a free lease");
    let held = catalog.acquire(&name, &second, at(61), at(121)).await.expect("an expired lease");
    fails(catalog.renew(&lost, at(500)).await, ErrorKind::Conflict, "a renewal of a lease that passed on");
    fails(catalog.acquire(&name, &first, at(62), at(122)).await, ErrorKind::Conflict, "a lease that passed on");
    // It comes back to the first holder, at a new epoch: the old one stays lost.
    let back = catalog.acquire(&name, &first, at(200), at(260)).await.expect("an expired lease");
    assert_eq!(back.epoch, held.epoch + 1);
    fails(catalog.renew(&lost, at(500)).await, ErrorKind::Conflict, "a renewal at an old epoch of the same holder");
    fails(catalog.renew(&held, at(500)).await, ErrorKind::Conflict, "a renewal of a lease that passed on");
    catalog.renew(&back, at(300)).await.expect("renew");
}

async fn a_lease_may_be_given_up(catalog: &dyn Catalog) {
    let (name, first, second) = (name(), fresh(), fresh());
    let lease = catalog.acquire(&name, &first, at(0), at(60)).await.expect("a free lease");
    catalog.renew(&lease, at(-1)).await.expect("give it up");
    let next = catalog.acquire(&name, &second, at(0), at(60)).await.expect("a lease that was given up");
    assert_eq!(next.epoch, lease.epoch + 1);
    catalog.renew(&next, Timestamp::from_millis(0)).await.expect("give it up");
    let last = catalog.acquire(&name, &first, at(0), at(60)).await.expect("a lease that was given up");
    assert_eq!(last.epoch, lease.epoch + 2);
}

async fn leases_of_other_names_are_other_leases(catalog: &dyn Catalog) {
    let (one, other) = (name(), name());
    let lease = catalog.acquire(&one, &fresh(), at(0), at(60)).await.expect("a free lease");
    let another = catalog.acquire(&other, &fresh(), at(0), at(60)).await.expect("another free lease");
    assert_eq!(another.epoch, lease.epoch);
    let nobodys = engine::catalog::Lease { name: name(), ..lease };
    fails(catalog.renew(&nobodys, at(500)).await, ErrorKind::Conflict, "a renewal of what was never taken");
}

async fn of_many_who_ask_one_gets_it(catalog: &dyn Catalog) {
    let name = name();
    let old = catalog.acquire(&name, &fresh(), at(0), at(60)).await.expect("a free lease");
    let holders: Vec<String> = (0..4).map(|_| fresh()).collect();
    let asks = holders.iter().map(|holder| catalog.acquire(&name, holder, at(61), at(121)));
    let outcomes = futures::future::join_all(asks).await;
    let winners: Vec<_> = outcomes.iter().filter_map(|o| o.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1, "one of them gets it");
    assert_eq!(winners[0].epoch, old.epoch + 1);
    for outcome in outcomes {
        if outcome.is_err() {
            fails(outcome, ErrorKind::Conflict, "a lease that another got");
        }
    }
}
