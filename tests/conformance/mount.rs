//! How a case becomes a test.

/// Makes a test of each case for one transport, in a module: `mount! { module Subject (arguments) [attributes] case … }`.
macro_rules! mount {
    ($place:ident $subject:ident $argument:tt $attributes:tt $($case:ident)*) => {
        mod $place {
            $( mount! { @case $subject $argument $attributes $case } )*
        }
    };
    (@case $subject:ident $argument:tt [$($attributes:tt)*] $case:ident) => {
        #[test]
        $($attributes)*
        fn $case() {
            use crate::subject::{Subject as _, $subject};
            $subject::block_on(super::$case::<$subject> $argument);
        }
    };
}
