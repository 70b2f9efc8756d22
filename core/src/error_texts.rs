//! Tests of every public error of core: its text contains its causes once and is one line, and its source is the first cause
//! that the text does not contain, as `error` documents.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::error::Error;
use core::num::NonZeroU32;
use core::time::Duration;

use crate::batch::convert::{ConvertError, Loss, LossyConversion};
use crate::batch::{BatchOptions, KafkaBatch, OptionsError, SplitError, StampError};
use crate::cause::{
    BrokerAddress, ConnectionError, ConnectionErrorKind, Disconnect, ForeignProtocol, LastError, LastErrorKind,
    OAuthError, OAuthRefusal, PendingRequest, ProducerIdError, ScramError, TimeoutCause, TopicLookupError, WaitingFor,
};
use crate::compression::{Codec, CompressError, ParseCompressionError};
use crate::failure::{BatchLost, CodecRefused};
use crate::machine;
use crate::message::FromMessagesError;
use crate::outgoing::EncodeError;
use crate::protocol::{self, ApiKey, BrokerError, ErrorCode};
use crate::send_error::{AuthenticationError, NoBrokerCause};
use crate::send_message::Rejection;
use crate::stream::{PartitionedAppendError, RejectedMessage};
use crate::transport_error::TransportError;
use crate::{
    AppendError, BatchOverflow, DeliveryError, Destination, EnqueueError, EnqueueErrorReason, ExtendError,
    FailureReason, Fate, FlushError, FlushErrorReason, Full, FullReason, Magic, PublishError, Record,
    RecordDeliveryError, RecordError, SealError, SealErrorReason, SendError, SendErrorReason, SendMessageError,
    Timestamp, TopicPartition,
};

/// An error of another crate, with a source that its text does not contain.
#[derive(Debug, thiserror::Error)]
#[error("FOREIGN")]
struct Foreign(#[source] Root);

#[derive(Debug, thiserror::Error)]
#[error("ROOT")]
struct Root;

type Errors = Vec<Box<dyn Error>>;

/// Returns these errors, of which there is at least one for each variant: a variant that is missing does not compile.
macro_rules! every {
    ($enum:ty: $($pattern:pat => $value:expr),+ $(,)?) => {{
        fn is_exhaustive(value: &$enum) {
            match value {
                $($pattern => {})+
            }
        }
        let mut errors = Errors::new();
        $({
            let value: $enum = $value;
            is_exhaustive(&value);
            assert!(matches!(value, $pattern), "{value:?}");
            errors.push(Box::new(value));
        })+
        errors
    }};
}

mod transactions;

fn foreign() -> TransportError {
    TransportError::new(Foreign(Root))
}

fn unencodable() -> AppendError {
    EncodeError::new(Foreign(Root)).into()
}

fn to() -> TopicPartition {
    TopicPartition::new("t", 3)
}

fn batch() -> KafkaBatch {
    let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
    batch.extend([Record::new("x")]).unwrap();
    batch
}

fn full() -> Full {
    Full { needed: 100, available: 10, reason: FullReason::BatchSize { limit: 1_000 } }
}

fn refused(code: ErrorCode) -> BrokerError {
    BrokerError::new(ApiKey::Produce, code).with_version(9).with_broker(1)
}

fn connection(kind: ConnectionErrorKind) -> ConnectionError {
    ConnectionError::new(BrokerAddress::new(Some(1), "a".into(), 9092), kind)
}

fn lost() -> ConnectionError {
    connection(ConnectionErrorKind::Disconnected { how: Disconnect::NotConnected, error: Some(foreign()) })
}

fn timeout() -> Option<Box<TimeoutCause>> {
    let last_error = Some(LastError { error: lost().into(), age: Duration::from_millis(20) });
    TimeoutCause::new(Some(WaitingFor::Metadata), last_error).map(Box::new)
}

const LIMIT: Duration = Duration::from_millis(30_000);

fn lossy() -> LossyConversion {
    LossyConversion { magic: Magic::V1, losses: vec![Loss::Headers { position: 0, count: 1 }] }
}

fn out_of_memory() -> CompressError {
    CompressError::OutOfMemory { codec: Codec::Gzip, size: 7 }
}

fn of_connections() -> Errors {
    use ConnectionErrorKind as Kind;
    let mut kinds = every!(Kind:
        Kind::Disconnected { .. } => Kind::Disconnected { how: Disconnect::Broken, error: Some(foreign()) },
        Kind::SetupTimeout { .. } => Kind::SetupTimeout { limit: LIMIT },
        Kind::RequestTimeout { .. } => Kind::RequestTimeout { limit: LIMIT },
        Kind::Rebootstrap { .. } => Kind::Rebootstrap { limit: LIMIT },
        Kind::Protocol(_) => Kind::Protocol("too short".into()),
        Kind::Foreign(_) => Kind::Foreign(ForeignProtocol::Http),
        Kind::Incompatible(_) => Kind::Incompatible(ApiKey::Produce),
        Kind::Refused(_) => refused(ErrorCode::UNSUPPORTED_VERSION).into(),
        Kind::Scram(_) => Kind::Scram(ScramError::NonceMismatch),
        Kind::OAuth(_) => Kind::OAuth(OAuthError::NoToken(foreign())),
        Kind::ProducerId(_) => ProducerIdError::Invalid { id: -1, epoch: 0 }.into(),
    );
    kinds.extend(every!(ProducerIdError:
        ProducerIdError::Invalid { .. } => ProducerIdError::Invalid { id: -1, epoch: 0 },
        ProducerIdError::Repeated { .. } => ProducerIdError::Repeated {
            id: 1,
            epoch: 0,
            refusal: Some(refused(ErrorCode::INVALID_PRODUCER_EPOCH)),
        },
    ));
    kinds.extend(every!(OAuthError:
        OAuthError::Refused(_) => OAuthError::Refused(OAuthRefusal::read(br#"{"status":"invalid_token"}"#)),
        OAuthError::NoToken(_) => OAuthError::NoToken(foreign()),
        OAuthError::Timeout { .. } => OAuthError::Timeout { limit: LIMIT },
    ));
    kinds.extend(every!(ScramError:
        ScramError::Refused(_) => ScramError::Refused("no".into()),
        ScramError::TooLong(_) => ScramError::TooLong(5_000),
        ScramError::Malformed(_) => ScramError::Malformed("no salt"),
        ScramError::NonceMismatch => ScramError::NonceMismatch,
        ScramError::Iterations(_) => ScramError::Iterations(1),
        ScramError::WrongSignature => ScramError::WrongSignature,
    ));
    kinds.extend(every!(LastErrorKind:
        LastErrorKind::Connection(_) => lost().into(),
        LastErrorKind::Broker(_) => refused(ErrorCode::NOT_ENOUGH_REPLICAS).into(),
        LastErrorKind::TopicDeleted(_) => LastErrorKind::TopicDeleted(refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
    ));
    kinds.extend(every!(TopicLookupError:
        TopicLookupError::Broker(_) => refused(ErrorCode::LEADER_NOT_AVAILABLE).into(),
        TopicLookupError::InvalidTopic => TopicLookupError::InvalidTopic,
        TopicLookupError::Authentication(_) => TopicLookupError::Authentication(Box::new(lost())),
        TopicLookupError::TimedOut { .. } => TopicLookupError::TimedOut { limit: LIMIT, cause: timeout() },
    ));
    let mut pending = connection(Kind::RequestTimeout { limit: LIMIT });
    pending.pending = Some(PendingRequest { api: ApiKey::Produce, version: 9, expects_response: true, elapsed: LIMIT });
    kinds.extend([Box::new(pending) as Box<dyn Error>, Box::new(lost()), Box::new(*timeout().unwrap())]);
    kinds
}

fn of_batches() -> Errors {
    let mut errors = every!(AppendError:
        AppendError::Headers { .. } => AppendError::Headers { magic: Magic::V1, headers: 2 },
        AppendError::TooLarge { .. } => AppendError::TooLarge { size: 2, limit: 1 },
        AppendError::TooLong { .. } => AppendError::TooLong { size: 1 << 32 },
        AppendError::BatchTooLong { .. } => AppendError::BatchTooLong { size: 1 << 32 },
        AppendError::RoutesElsewhere { .. } => AppendError::RoutesElsewhere { key: 1, batch: 2 },
        AppendError::InvalidOffset { .. } => AppendError::InvalidOffset { found: 1, next: 2 },
        AppendError::Message(_) => unencodable(),
    );
    let taken = || batch().try_extend([Record::new("y")]).unwrap();
    errors.extend(every!(ExtendError:
        ExtendError::Overflow(_) => ExtendError::Overflow(BatchOverflow { position: 1, full: full(), appended: taken() }),
        ExtendError::Failed { .. } => ExtendError::Failed { position: 1, error: unencodable(), appended: taken() },
    ));
    let pinned = OptionsError::DeleteHorizonNeedsMagic2 { magic: Magic::V1 };
    errors.extend(every!(OptionsError:
        OptionsError::CodecNeedsNewerMagic { .. } =>
            OptionsError::CodecNeedsNewerMagic { codec: Codec::Zstd, magic: Magic::V1 },
        OptionsError::DeleteHorizonNeedsMagic2 { .. } => pinned,
    ));
    errors.extend(every!(FromMessagesError:
        FromMessagesError::Options(_) => pinned.into(),
        FromMessagesError::Extend(_) =>
            ExtendError::Failed { position: 1, error: unencodable(), appended: taken() }.into(),
    ));
    errors.extend(every!(ConvertError:
        ConvertError::Losses { .. } => ConvertError::Losses { refused: lossy(), batch: Box::new(batch()) },
        ConvertError::TooLong { .. } =>
            ConvertError::TooLong { magic: Magic::V1, reason: unencodable(), batch: Box::new(batch()) },
    ));
    errors.extend(every!(SealErrorReason:
        SealErrorReason::Empty => SealErrorReason::Empty,
        SealErrorReason::TooLarge { .. } =>
            SealErrorReason::TooLarge { records: 1, sealed: 3, uncompressed: 4, limit: 2 },
        SealErrorReason::Compression(_) => out_of_memory().into(),
    ));
    errors.extend(every!(PartitionedAppendError:
        PartitionedAppendError::UnknownPartition { .. } =>
            PartitionedAppendError::UnknownPartition { partition: 3, partitions: NonZeroU32::MIN },
        PartitionedAppendError::Append(_) => unencodable().into(),
    ));
    let input = || String::from("gzip:99");
    errors.extend(every!(ParseCompressionError:
        ParseCompressionError::Unknown { .. } => ParseCompressionError::Unknown { input: "x".into() },
        ParseCompressionError::NotCompiled { .. } =>
            ParseCompressionError::NotCompiled { input: "zstd".into(), codec: Codec::Zstd, feature: "zstd" },
        ParseCompressionError::NoLevels { .. } =>
            ParseCompressionError::NoLevels { input: "lz4:1".into(), codec: Codec::Lz4 },
        ParseCompressionError::LevelNotANumber { .. } =>
            ParseCompressionError::LevelNotANumber { input: "gzip:x".into(), codec: Codec::Gzip },
        ParseCompressionError::LevelOutOfRange { .. } => ParseCompressionError::LevelOutOfRange {
            input: input(),
            reason: crate::compression::GzipLevel::new(99).unwrap_err(),
        },
    ));
    let stamp = StampError { magic: Magic::V1, batch: Box::new(batch().seal().unwrap()) };
    errors.extend([
        Box::new(SealError { reason: out_of_memory().into(), batch: Box::new(batch()) }) as Box<dyn Error>,
        Box::new(SplitError { reason: out_of_memory(), batch: Box::new(batch()) }),
        Box::new(stamp),
        Box::new(RejectedMessage { message: "x", error: unencodable() }),
        Box::new(lossy()),
    ]);
    errors
}

fn of_publishing() -> Errors {
    let mut errors = every!(NoBrokerCause:
        NoBrokerCause::TimedOut { .. } => NoBrokerCause::TimedOut { limit: LIMIT, cause: timeout() },
        NoBrokerCause::Transport(_) => foreign().into(),
    );
    errors.extend(every!(AuthenticationError:
        AuthenticationError::Connection(_) => Box::new(lost()).into(),
        AuthenticationError::Transport(_) => foreign().into(),
    ));
    let topic = || String::from("orders");
    use SendErrorReason as Reason;
    errors.extend(every!(Reason:
        Reason::Seal(_) => SealErrorReason::Empty.into(),
        Reason::RoutedElsewhere { .. } => Reason::RoutedElsewhere { routed: 1, requested: 2 },
        Reason::InvalidTopic { .. } => Reason::InvalidTopic { topic: String::new() },
        Reason::InvalidPartition { .. } => Reason::check_partition("orders", -1).unwrap_err(),
        Reason::UnknownTopic { .. } => Reason::UnknownTopic { topic: topic() },
        Reason::UnknownPartition { .. } =>
            Reason::UnknownPartition { topic: topic(), partition: 7, partitions: 3 },
        Reason::ExceedsBufferMemory { .. } => Reason::ExceedsBufferMemory { size: 2, limit: 1 },
        Reason::Blocked { .. } => Reason::Blocked { limit: LIMIT, on: crate::error::BlockedOn::BufferMemory },
        Reason::NoBroker { .. } => {
            let cause = NoBrokerCause::TimedOut { limit: LIMIT, cause: timeout() };
            Reason::NoBroker { brokers: "b:9092".into(), cause }
        },
        Reason::Broker { .. } =>
            Reason::Broker { topic: topic(), error: refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED) },
        Reason::Authentication(_) => Reason::Authentication(Box::new(lost()).into()),
        Reason::Closed => Reason::Closed,
        Reason::Stopped => Reason::Stopped,
        Reason::Transport(_) => foreign().into(),
    ));
    errors.extend(every!(FlushErrorReason:
        FlushErrorReason::Stopped => FlushErrorReason::Stopped,
        FlushErrorReason::Transport(_) => foreign().into(),
    ));
    use FailureReason as Failure;
    errors.extend(every!(Failure:
        Failure::Broker(_) => refused(ErrorCode::MESSAGE_TOO_LARGE).into(),
        Failure::Conversion(_) => Failure::Conversion(Box::new(lossy())),
        Failure::Codec(_) => CodecRefused::new(Codec::Zstd, 3).into(),
        Failure::TimedOut { .. } => Failure::TimedOut { limit: Some(LIMIT), cause: timeout() },
        Failure::UnknownPartition { .. } => Failure::UnknownPartition { topic: "t".into(), partition: 7, partitions: 3 },
        Failure::Seal(_) => Failure::Seal(Box::new(out_of_memory().into())),
        Failure::Append(_) => Failure::Append(Box::new(unencodable())),
        Failure::Request(_) => {
            let (api, version) = (ApiKey::Produce, 3);
            protocol::RequestEncodeError::TooLong { api, version, length: 2, limit: 1 }.into()
        },
        Failure::TransactionAborted => Failure::TransactionAborted,
        Failure::Closed => Failure::Closed,
        Failure::Stopped => Failure::Stopped,
        Failure::Transport(_) => foreign().into(),
    ));
    errors.extend(every!(EnqueueErrorReason:
        EnqueueErrorReason::Append(_) => unencodable().into(),
        EnqueueErrorReason::Send(_) => Reason::from(foreign()).into(),
    ));
    let enqueue = || EnqueueError::new(Destination::from("orders"), unencodable().into());
    let failed = || RecordDeliveryError::new(to(), Arc::new(foreign().into()), Fate::Unknown, Rejection::Unnamed);
    errors.extend(every!(SendMessageError:
        SendMessageError::NotAccepted(_) => enqueue().into(),
        SendMessageError::Delivery(_) => failed().into(),
    ));
    let send = || SendError::new(to(), foreign().into(), batch());
    let delivery = || DeliveryError::new(to(), foreign().into(), Fate::NotWritten, batch());
    errors.extend(every!(PublishError:
        PublishError::Overflow { .. } =>
            PublishError::Overflow { topic: topic(), position: 1, full: full(), batch: Box::new(batch()) },
        PublishError::Message { .. } =>
            PublishError::Message { topic: topic(), position: 1, error: unencodable(), batch: Box::new(batch()) },
        PublishError::Send(_) => PublishError::Send(send()),
        PublishError::Delivery(_) => PublishError::Delivery(delivery()),
    ));
    let full = machine::MachineSendErrorKind::Full { buffered: 2, needed: 2, limit: 3 };
    errors.extend([
        Box::new(FlushError::new(2, foreign().into())) as Box<dyn Error>,
        Box::new(machine::MachineSendError { to: to(), kind: full, batch: Box::new(batch().seal().unwrap()) }),
        Box::new(BatchLost { to: to(), record_count: 2 }),
        Box::new(foreign()),
        Box::new(EncodeError::new(Foreign(Root))),
        Box::new(refused(ErrorCode::INVALID_TIMESTAMP).with_message(String::from("it is too old"))),
    ]);
    errors
}

fn sources(error: &dyn Error) -> Vec<String> {
    core::iter::successors(error.source(), |&error| error.source()).map(ToString::to_string).collect()
}

#[test]
fn the_text_has_every_cause_once_and_the_source_is_what_it_does_not_have() {
    let errors = [of_connections(), of_batches(), of_publishing(), transactions::all()].into_iter().flatten();
    for error in errors {
        let text = error.to_string();
        assert!(!text.contains("ROOT"), "{text}");
        let expected: &[&str] = if text.contains("FOREIGN") { &["ROOT"] } else { &[] };
        assert_eq!(sources(&*error), expected, "{text}");

        assert!(!text.is_empty() && !text.contains(['\n', '\r']) && !text.ends_with(['.', ' ', ':']), "{text:?}");
        let mut parts: Vec<&str> = text.split([':', ';']).map(str::trim).filter(|part| part.len() > 3).collect();
        parts.sort_unstable();
        let twice = parts.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "{text}");
    }
}

#[test]
fn names_and_messages_of_others_do_not_break_the_line() {
    let topic = || String::from("a\r\nb\0c");
    let to = || TopicPartition::new(topic(), 3);
    let broker = || refused(ErrorCode::INVALID_RECORD).with_message(topic());
    let records = vec![RecordError::new(0, Some(topic()))];
    use SendErrorReason as Reason;
    let reasons = [
        Reason::InvalidTopic { topic: topic() },
        Reason::InvalidPartition { topic: topic(), partition: -1 },
        Reason::UnknownTopic { topic: topic() },
        Reason::UnknownPartition { topic: topic(), partition: 7, partitions: 3 },
        Reason::Broker { topic: topic(), error: broker() },
    ];
    let mut errors: Errors = reasons.into_iter().map(|reason| Box::new(reason) as Box<dyn Error>).collect();
    let of_record = |rejection| RecordDeliveryError::new(to(), Arc::new(broker().into()), Fate::NotWritten, rejection);
    errors.extend([
        Box::new(EnqueueError::new(Destination::from(&topic()), Reason::Closed.into())) as Box<dyn Error>,
        Box::new(EnqueueError::new(Destination::from(&to()), Reason::Closed.into())),
        Box::new(of_record(Rejection::This(Some(topic())))),
        Box::new(SendError::new(to(), Reason::Broker { topic: topic(), error: broker() }, batch())),
        Box::new(DeliveryError::new(to(), broker().into(), Fate::NotWritten, batch()).with_record_errors(records)),
        Box::new(BatchLost { to: to(), record_count: 2 }),
        Box::new(PublishError::Overflow { topic: topic(), position: 1, full: full(), batch: Box::new(batch()) }),
        Box::new(connection(ConnectionErrorKind::Scram(ScramError::Refused(topic())))),
        Box::new(ConnectionError::new(
            BrokerAddress::new(None, topic(), 1),
            ConnectionErrorKind::Incompatible(ApiKey::Produce),
        )),
        Box::new(Reason::NoBroker { brokers: topic(), cause: foreign().into() }),
        Box::new(ParseCompressionError::Unknown { input: topic() }),
    ]);
    for error in errors {
        let text = error.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
    }
    assert!(!Destination::from(&topic()).to_string().contains(char::is_control));
}

#[test]
fn texts_name_the_fault_and_the_remedy() {
    let topic = || String::from("t");
    for (error, expected) in [
        (
            Box::new(SendErrorReason::UnknownPartition { topic: topic(), partition: 7, partitions: 3 })
                as Box<dyn Error>,
            "topic \"t\" has partitions 0 to 2, but partition 7 was requested: request one of them, or none, or add partitions",
        ),
        (
            Box::new(FailureReason::UnknownPartition { topic: "t".into(), partition: 7, partitions: 3 }),
            "topic \"t\" has partitions 0 to 2, but partition 7 was requested: request one of them, or add partitions",
        ),
        (
            Box::new(SendErrorReason::Stopped),
            "the producer's task has ended before the producer was closed (its runtime was shut down, or it panicked): build a \
             new producer on a running runtime",
        ),
        (
            Box::new(FailureReason::Closed),
            "the producer was closed before the batch was acknowledged: send it with a new producer, unless it may be written",
        ),
        (
            Box::new(refused(ErrorCode::NOT_ENOUGH_REPLICAS)),
            "broker 1 answered Produce v9 with NOT_ENOUGH_REPLICAS (19); fewer replicas are in sync than the topic's \
             min.insync.replicas requires: wait for replicas, or lower it",
        ),
        (
            Box::new(refused(ErrorCode::INVALID_TIMESTAMP)),
            "broker 1 answered Produce v9 with INVALID_TIMESTAMP (32); the topic's message.timestamp.before.max.ms and \
             message.timestamp.after.max.ms limit which ones it accepts",
        ),
        (
            Box::new(machine::CredentialsError::NotPrintableAscii(machine::Credential::Password)),
            "the password contains a character that is not printable ASCII, and Kafka's SCRAM does not normalize others \
             (SASLprep): choose printable ASCII",
        ),
    ] {
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_timeout_names_its_setting_and_its_value() {
    for (error, expected) in [
        (
            Box::new(FailureReason::TimedOut { limit: Some(LIMIT), cause: None }) as Box<dyn Error>,
            "delivery.timeout.ms",
        ),
        (Box::new(TopicLookupError::TimedOut { limit: LIMIT, cause: None }), "request.timeout.ms"),
        (Box::new(NoBrokerCause::TimedOut { limit: LIMIT, cause: None }), "request.timeout.ms"),
        (Box::new(ConnectionErrorKind::RequestTimeout { limit: LIMIT }), "request.timeout.ms"),
        (Box::new(ConnectionErrorKind::SetupTimeout { limit: LIMIT }), "socket.connection.setup.timeout.ms"),
        (Box::new(ConnectionErrorKind::Rebootstrap { limit: LIMIT }), "metadata.recovery.rebootstrap.trigger.ms"),
    ] {
        assert!(error.to_string().ends_with(&format!(" within {expected} (30000)")), "{error}");
    }
}

#[cfg(feature = "std")]
#[test]
fn the_error_of_a_socket_can_be_told_apart() {
    use std::io;

    let refused = TransportError::new(io::Error::from(io::ErrorKind::ConnectionRefused));
    let kind = ConnectionErrorKind::Disconnected { how: Disconnect::NotConnected, error: Some(refused) };
    let last_error = Some(LastError { error: connection(kind).into(), age: LIMIT });
    let cause = || TimeoutCause::new(None, last_error.clone()).map(Box::new);
    let failed = FailureReason::TimedOut { limit: Some(LIMIT), cause: cause() };
    let brokers = String::from("a:9092");
    let cause = NoBrokerCause::TimedOut { limit: LIMIT, cause: cause() };
    let unsent = SendErrorReason::NoBroker { brokers, cause };
    for error in [failed.connection_error(), unsent.connection_error()] {
        let ConnectionErrorKind::Disconnected { error: Some(error), .. } = &error.unwrap().kind else { panic!() };
        assert_eq!(error.io_error_kind(), Some(io::ErrorKind::ConnectionRefused));
    }
}

#[test]
fn an_empty_batch_and_a_negative_partition_need_no_broker() {
    let empty = BatchOptions::default().build(0).unwrap();
    assert!(matches!(SendErrorReason::check(&empty, &to()), Err(SendErrorReason::Seal(SealErrorReason::Empty))));
    let negative = TopicPartition::new("t", -1);
    let error = SendErrorReason::check(&batch(), &negative).unwrap_err();
    assert!(error.to_string().starts_with("topic \"t\" cannot have partition -1"), "{error}");
    assert!(!error.is_retriable());
    assert!(SendErrorReason::check(&batch(), &to()).is_ok());

    let prepared = crate::Publish::to("t").prepare(|| BatchOptions::default().build(0).unwrap());
    let Err(PublishError::Send(error)) = prepared else { panic!("{prepared:?}") };
    assert!(matches!(error.reason, SendErrorReason::Seal(SealErrorReason::Empty)), "{error}");
    let prepared = crate::Publish::to("t").batch(batch()).partition(-1).prepare(|| unreachable!());
    let Err(PublishError::Send(error)) = prepared else { panic!("{prepared:?}") };
    assert!(matches!(error.reason, SendErrorReason::InvalidPartition { partition: -1, .. }), "{error}");
}
