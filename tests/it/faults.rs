//! Faults by their numbers. "Nothing lost" is what the harness's checker says (L1 to L7). Each happens once or twice in a
//! moment that chance chooses; `VITALS_FAULT_ROUNDS=20` is the long form, `VITALS_FAULT_SEED` repeats one.

mod clock;
mod crowding;
mod disk;
mod files;
mod killed;
mod locks;
mod panics;
mod traces;
