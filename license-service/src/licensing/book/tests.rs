//! Seats against a model that is too simple to be wrong.

use std::collections::HashMap;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

const MARGIN: i64 = 60;

fn wish(holder: &str, until: i64) -> Wish {
    let random = rand::random();
    Wish { holder: Holder::of(&[holder]), until, assigned: false, borrowed: false, random }
}

#[test]
fn a_seat_is_free_a_margin_after_its_lease_and_not_before() {
    let mut seats = Seats::new("v", "m", MARGIN);
    let taken = seats.take(wish("anna", 100), 1, None, 0).unwrap();
    let refused = seats.take(wish("ben", 200), 1, None, 100 + MARGIN - 1).unwrap_err();
    assert_eq!(refused, Exhausted { next_free: Some(160), numbers: vec![0], of_borrowing: false });
    assert_eq!(seats.take(wish("ben", 300), 1, None, 100 + MARGIN).unwrap().number, taken.number);
    assert!(seats.find(taken.seat.lease, 160).is_none());
}

#[test]
fn who_comes_again_has_the_same_seat() {
    let mut seats = Seats::new("v", "m", MARGIN);
    let first = seats.take(wish("anna", 100), 2, None, 0).unwrap();
    let again = seats.take(wish("anna", 150), 2, None, 50).unwrap();
    assert_eq!((again.number, again.seat.lease, again.seat.until), (first.number, first.seat.lease, 150));
    assert_eq!(seats.counts(50), (1, 0));
}

#[test]
fn what_was_not_recorded_is_undone_unless_it_was_changed_again() {
    let mut seats = Seats::new("v", "m", MARGIN);
    let first = seats.take(wish("anna", 100), 1, None, 0).unwrap();
    let extended = seats.extend(first.seat.lease, 200, 1).unwrap();
    seats.undo(&first);
    assert_eq!(seats.counts(1), (1, 0));
    seats.undo(&extended);
    assert_eq!(seats.find(first.seat.lease, 1).unwrap().1.until, 100);
    seats.undo(&first);
    assert_eq!(seats.counts(1), (0, 0));
}

#[test]
fn no_more_is_borrowed_than_may_be() {
    let mut seats = Seats::new("v", "m", MARGIN);
    let borrow = |holder: &str| Wish { borrowed: true, ..wish(holder, 1000) };
    seats.take(borrow("anna"), 5, Some(1), 0).unwrap();
    assert!(seats.take(borrow("ben"), 5, Some(1), 0).unwrap_err().of_borrowing);
    seats.take(wish("ben", 100), 5, None, 0).unwrap();
    assert_eq!(seats.counts(0), (2, 1));
}

/// Holder → when the seat is free again (`i64::MAX` if assigned).
type Model = HashMap<u8, i64>;

#[test]
fn any_sequence_of_calls_agrees_with_a_simple_model() {
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let total = random.random_range(1..6);
        let mut seats = Seats::new("v", "m", MARGIN);
        let (mut model, mut leases) = (Model::new(), HashMap::new());
        let mut now = 0;
        for step in 0..400 {
            now += random.random_range(0..40);
            model.retain(|_, free_at| *free_at > now);
            let who: u8 = random.random_range(0..10);
            let holder = Holder::of(&[&who.to_string()]);
            let until = now + random.random_range(1..200);
            match random.random_range(0..5) {
                0..2 => {
                    let known = model.get(&who).copied();
                    let expected = known.is_some() || model.len() < total;
                    let assigned = random.random_bool(0.1);
                    let random = (step as u64).to_be_bytes();
                    let wish = Wish { holder, until, assigned, borrowed: false, random };
                    let taken = seats.take(wish, total as u32, None, now);
                    assert_eq!(taken.is_ok(), expected, "seed {seed}, step {step}");
                    if let Ok(taken) = taken {
                        assert!((taken.number as usize) < total, "numbers stay below the quantity");
                        let free_at = if assigned { i64::MAX } else { until + MARGIN };
                        model.insert(who, known.unwrap_or(0).max(free_at));
                        leases.insert(who, taken.seat.lease);
                    }
                }
                2 => {
                    let Some(lease) = leases.get(&who) else { continue };
                    let extended = seats.extend(*lease, until, now);
                    assert_eq!(extended.is_some(), model.contains_key(&who), "seed {seed}, step {step}");
                    if let Some(free_at) = model.get_mut(&who) {
                        *free_at = (*free_at).max(until + MARGIN);
                    }
                }
                3 => {
                    if let Some((number, seat)) = seats.held(holder, now) {
                        seats.replace(number, seat, None);
                    }
                    model.remove(&who);
                }
                _ => {
                    let wish = Wish { holder, until, assigned: false, borrowed: false, random: [0; 8] };
                    if let Ok(taken) = seats.take(wish, total as u32, None, now) {
                        seats.undo(&taken);
                    }
                }
            }
            assert_eq!(seats.counts(now).0 as usize, model.len(), "seed {seed}, step {step}");
            assert!(model.len() <= total);
        }
    }
}
