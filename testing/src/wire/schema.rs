//! Structures of messages as tables: each field with its type, its versions and its default.

/// Defines structures of the protocol. A field is read and written in the versions of its range, and has its default in
/// others. With `tag N` it is a tagged field: written if it differs from its default.
///
/// ```text
/// message! {
///     /// A partition.
///     pub struct Partition {
///         /// The partition.
///         index: i32 = 0, 0..;
///         /// The leader, if it is another broker.
///         leader: Leader = Leader::default(), 10.., tag 0;
///     }
/// }
/// ```
macro_rules! message {
    ($(
        $(#[$attribute:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* $field:ident: $type:ty = $default:expr, $versions:expr $(, tag $tag:literal)?;)*
        }
    )*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::wire::primitives::Field for $name {
            fn read(
                reader: &mut $crate::wire::primitives::Reader,
            ) -> Result<Self, $crate::wire::primitives::Malformed> {
                let mut read = Self::default();
                let version = reader.version();
                $($crate::wire::schema::untagged! { ($($tag)?)
                    if ($versions).contains(&version) {
                        read.$field = $crate::wire::primitives::Field::read(reader)?;
                    }
                })*
                reader.tagged(|tag, reader| {
                    let _ = (tag, &reader, version);
                    $($crate::wire::schema::tagged! { ($($tag)?)
                        if $crate::wire::schema::tag!($($tag)?) == tag && ($versions).contains(&version) {
                            read.$field = $crate::wire::primitives::Field::read(reader)?;
                            return Ok(true);
                        }
                    })*
                    Ok(false)
                })?;
                Ok(read)
            }

            fn write(&self, writer: &mut $crate::wire::primitives::Writer) {
                let version = writer.version();
                $($crate::wire::schema::untagged! { ($($tag)?)
                    if ($versions).contains(&version) {
                        $crate::wire::primitives::Field::write(&self.$field, writer);
                    }
                })*
                #[allow(unused_mut)]
                let mut tagged: Vec<(u32, &dyn $crate::wire::primitives::Field)> = Vec::new();
                $($crate::wire::schema::tagged! { ($($tag)?)
                    if ($versions).contains(&version) && self.$field != $default {
                        tagged.push(($crate::wire::schema::tag!($($tag)?), &self.$field));
                    }
                })*
                writer.tagged(&tagged);
            }
        }
    )*};
}

/// Expands to the code, unless there is a tag.
macro_rules! untagged {
    (() $($code:tt)*) => { $($code)* };
    (($tag:literal) $($code:tt)*) => {};
}

/// Expands to the code, if there is a tag.
macro_rules! tagged {
    (() $($code:tt)*) => {};
    (($tag:literal) $($code:tt)*) => { $($code)* };
}

/// Expands to the tag.
macro_rules! tag {
    () => {
        0_u32
    };
    ($tag:literal) => {
        $tag
    };
}

pub(super) use {message, tag, tagged, untagged};
