//! Rules of the source itself: which module may import which, and where SQL stands.

mod floors;
