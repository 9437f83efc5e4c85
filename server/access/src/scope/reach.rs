//! Scopes, the patient and the user of a token into the rows each interaction reaches. Done once for a token, so that
//! a request only looks its answer up.

use vitals_fhir::{interaction::Letter, resource::ResourceType};

use crate::{
    predicate::{AllOf, Term, Visible},
    scope::{Context, Rule, ScopeSet, Types},
};

const LETTERS: [Letter; 5] = [Letter::Create, Letter::Read, Letter::Update, Letter::Delete, Letter::Search];
const CELLS: usize = ResourceType::ALL.len() * LETTERS.len();

/// Whose `user/` scopes these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// Nobody in particular, or somebody who is neither a patient nor related to one: the whole tenant.
    Whole,
    /// A Patient of this tenant: that compartment.
    Patient(String),
    /// A RelatedPerson: the compartment of the `patient` claim.
    Related,
    /// Somebody who cannot be told: nothing.
    Nobody,
}

/// The patient and the user that scopes are confined to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) patient: Option<&'a str>,
    pub(crate) user: &'a User,
}

/// What each letter reaches of each type, and by which scopes.
#[derive(Debug)]
pub(crate) struct Reach {
    cells: [Cell; CELLS],
    trail_read: Cell,
    trail_search: Cell,
}

#[derive(Debug)]
struct Cell {
    visible: Visible,
    used: Vec<usize>,
}

impl Cell {
    const fn nothing() -> Self {
        Self { visible: Visible::Nothing, used: Vec::new() }
    }

    fn of(scopes: &ScopeSet, reaches: impl Fn(&Rule) -> Option<AllOf>) -> Self {
        let mut used = Vec::new();
        let alternatives: Vec<AllOf> = scopes
            .rules
            .iter()
            .enumerate()
            .filter_map(|(place, rule)| {
                let all = reaches(rule.as_ref()?)?;
                used.push(place);
                Some(all)
            })
            .collect();
        Self { visible: Visible::union(alternatives), used }
    }
}

impl Reach {
    pub(crate) fn of(scopes: &ScopeSet, who: Who<'_>) -> Self {
        let cells = std::array::from_fn(|place| {
            let resource = ResourceType::ALL[place / LETTERS.len()];
            let letter = LETTERS[place % LETTERS.len()];
            Cell::of(scopes, |rule| rule.reaches(resource, letter, who))
        });
        let trail = |letter| Cell::of(scopes, |rule| rule.reaches_trail(letter, who));
        Self { cells, trail_read: trail(Letter::Read), trail_search: trail(Letter::Search) }
    }

    /// What an interaction reaches of the trail: nothing that changes it is offered.
    pub(crate) fn trail(&self, letter: Letter) -> (&Visible, &[usize]) {
        match letter {
            Letter::Read => (&self.trail_read.visible, &self.trail_read.used),
            Letter::Search => (&self.trail_search.visible, &self.trail_search.used),
            Letter::Create | Letter::Update | Letter::Delete => (&Visible::Nothing, &[]),
        }
    }

    /// What both some scopes of a token and a grant reach, for reading alone. Places of scopes are counted over all of
    /// them in their order.
    pub(crate) fn read_in_common(token: &[(&ScopeSet, &Self)], grant: &Self) -> Self {
        let cells = std::array::from_fn(|place| {
            let mut cell = Cell::nothing();
            if !matches!(LETTERS[place % LETTERS.len()], Letter::Read | Letter::Search) {
                return cell;
            }
            let (mut found, mut before) = (Vec::new(), 0);
            for (scopes, reach) in token {
                let both = reach.cells[place].visible.both(&grant.cells[place].visible);
                if both != Visible::Nothing {
                    cell.used.extend(reach.cells[place].used.iter().map(|used| used + before));
                    found.push(both);
                }
                before += scopes.texts().len();
            }
            cell.visible = Visible::either(found);
            cell
        });
        // A grant is over data: nobody sees another tenant's trail.
        Self { cells, trail_read: Cell::nothing(), trail_search: Cell::nothing() }
    }

    /// Whether there is anything that some interaction reaches.
    pub(crate) fn reaches_anything(&self) -> bool {
        self.cells.iter().any(|cell| cell.visible != Visible::Nothing)
    }

    pub(crate) fn visible(&self, resource: ResourceType, letter: Letter) -> &Visible {
        &self.cells[place(resource, letter)].visible
    }

    /// Places, among the scopes, of those that cover the interaction.
    pub(crate) fn used(&self, resource: ResourceType, letter: Letter) -> &[usize] {
        &self.cells[place(resource, letter)].used
    }
}

const fn place(resource: ResourceType, letter: Letter) -> usize {
    let column = match letter {
        Letter::Create => 0,
        Letter::Read => 1,
        Letter::Update => 2,
        Letter::Delete => 3,
        Letter::Search => 4,
    };
    let row = match resource {
        ResourceType::Patient => 0,
        ResourceType::Observation => 1,
    };
    row * LETTERS.len() + column
}

impl Rule {
    /// The rows one scope reaches, or nothing.
    fn reaches(&self, resource: ResourceType, letter: Letter, who: Who<'_>) -> Option<AllOf> {
        if !self.types.cover(resource) || !self.letters.contain(letter) {
            return None;
        }
        // A Patient has none of the other columns, so a limit on them can never hold.
        let fits = |limit: &Term| resource != ResourceType::Patient || matches!(limit, Term::SecurityIn(_));
        if !self.limits.iter().all(fits) {
            return None;
        }
        let mut terms: Vec<Term> = self.compartment(who)?;
        terms.extend(self.limits.iter().cloned());
        Some(AllOf(terms))
    }

    /// The records of the trail one scope reaches, or nothing: by the patients they are about alone, for a record has
    /// none of the columns that limits are on.
    fn reaches_trail(&self, letter: Letter, who: Who<'_>) -> Option<AllOf> {
        if self.types != Types::Trail || !self.letters.contain(letter) || !self.limits.is_empty() {
            return None;
        }
        Some(AllOf(self.compartment(who)?))
    }

    /// The compartment that the scope is confined to: no term where it is to none, and nothing at all where it reaches
    /// nobody.
    fn compartment(&self, who: Who<'_>) -> Option<Vec<Term>> {
        let id = match (self.context, who.user) {
            (Context::System, _) | (Context::User, User::Whole) => None,
            (Context::Ours, _) => who.patient,
            (Context::Patient, _) | (Context::User, User::Related) => Some(who.patient?),
            (Context::User, User::Patient(id)) => Some(id.as_str()),
            (Context::User, User::Nobody) => return None,
        };
        Some(id.map(|id| Term::PatientIs(id.to_owned())).into_iter().collect())
    }
}
