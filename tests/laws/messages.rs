//! Messages: values and content types, the precedence of headers, what a message overrides, publishing.

use super::*;

/// A message of each kind.
#[derive(Clone, Debug)]
enum Kind {
    Bytes(Vec<u8>),
    Text(String),
    Nothing,
    Tombstone,
    Json(Vec<u32>),
    Own(Vec<u8>, String),
}

impl Kind {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            strategy::bytes().prop_map(Self::Bytes),
            "\\PC{0,8}".prop_map(Self::Text),
            Just(Self::Nothing),
            Just(Self::Tombstone),
            prop::collection::vec(any::<u32>(), 0..4).prop_map(Self::Json),
            (strategy::bytes(), "[a-z/]{0,8}").prop_map(|(value, content_type)| Self::Own(value, content_type)),
        ]
    }

    fn message(&self) -> Box<dyn Message + '_> {
        match self {
            Self::Bytes(value) => Box::new(value.clone()),
            Self::Text(value) => Box::new(value.clone()),
            Self::Nothing => Box::new(()),
            Self::Tombstone => Box::new(Tombstone),
            Self::Json(value) => Box::new(Json(value)),
            Self::Own(value, content_type) => Box::new(OwnType(value, content_type)),
        }
    }

    fn value_and_content_type(&self) -> (Option<Vec<u8>>, &str) {
        match self {
            Self::Bytes(value) => (Some(value.clone()), ""),
            Self::Text(text) => (Some(text.clone().into_bytes()), "text/plain"),
            Self::Nothing => (Some(Vec::new()), ""),
            Self::Tombstone => (None, ""),
            Self::Json(value) => (Some(serde_json::to_vec(value).unwrap()), "application/json"),
            Self::Own(value, content_type) => (Some(value.clone()), content_type),
        }
    }
}

struct OwnType<'a>(&'a [u8], &'a str);

impl Message for OwnType<'_> {
    fn payload<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        scratch.extend_from_slice(self.0);
        Ok(Payload::new(scratch).content_type(self.1))
    }
}

/// What a call sets for all its messages, or a message for itself.
#[derive(Clone, Debug)]
struct Word {
    key: Option<Option<Vec<u8>>>,
    timestamp: Option<Timestamp>,
    correlation_id: Option<String>,
    reply_to: Option<String>,
    headers: Vec<OwnedHeader>,
}

impl Word {
    fn any() -> impl Strategy<Value = Self> {
        let key = prop::option::of(prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..4)));
        let text = || prop::option::of("[a-z]{0,4}");
        let timestamp = prop::option::of(strategy::timestamps());
        (key, timestamp, text(), text(), strategy::header_lists()).prop_map(
            |(key, timestamp, correlation_id, reply_to, headers)| Self {
                key,
                timestamp,
                correlation_id,
                reply_to,
                headers,
            },
        )
    }

    fn outgoing<M: Message>(&self, message: M) -> OutgoingMessage<'_, M> {
        let mut outgoing = OutgoingMessage::new(message);
        match &self.key {
            None => {}
            Some(None) => outgoing = outgoing.no_key(),
            Some(Some(key)) => outgoing = outgoing.key(key),
        }
        outgoing = self.timestamp.into_iter().fold(outgoing, OutgoingMessage::timestamp);
        outgoing = self.correlation_id.iter().fold(outgoing, |outgoing, id| outgoing.correlation_id(id));
        outgoing = self.reply_to.iter().fold(outgoing, |outgoing, topic| outgoing.reply_to(topic));
        self.headers.iter().fold(outgoing, |outgoing, header| match &header.value {
            Some(value) => outgoing.header(&header.name, value),
            None => outgoing.null_header(&header.name),
        })
    }

    fn defaults<'a>(&'a self, headers: &'a [Header<'a>], publisher: &'a [Header<'a>]) -> Defaults<'a> {
        let mut defaults = Defaults::default().headers(headers).publisher_headers(publisher);
        defaults = self.key.iter().flatten().fold(defaults, |defaults, key| defaults.key(key));
        defaults = self.timestamp.into_iter().fold(defaults, Defaults::timestamp);
        defaults = self.correlation_id.iter().fold(defaults, |defaults, id| defaults.correlation_id(id.as_str()));
        self.reply_to.iter().fold(defaults, |defaults, topic| defaults.reply_to(topic.as_str()))
    }
}

/// Returns the record that this message must become, computed layer by layer.
fn expected(kind: &Kind, own: &Word, call: &Word, publisher: &[OwnedHeader], now: Timestamp) -> OwnedRecord {
    let (value, content_type) = kind.value_and_content_type();
    let first = |own: &Option<String>, call: &Option<String>| own.clone().or(call.clone()).unwrap_or_default();
    let lowest = [
        ("content-type", content_type.to_owned()),
        ("correlation_id", first(&own.correlation_id, &call.correlation_id)),
        ("reply_to", first(&own.reply_to, &call.reply_to)),
    ];
    let given = lowest.into_iter().filter(|(_, text)| !text.is_empty());
    let lowest: Vec<_> = given.map(|(name, text)| OwnedHeader::new(name, text)).collect();
    OwnedRecord {
        key: own.key.clone().unwrap_or_else(|| call.key.clone().flatten()),
        value,
        headers: expected_merge(&expected_merge(&expected_merge(&lowest, publisher), &call.headers), &own.headers),
        timestamp: Some(own.timestamp.or(call.timestamp).unwrap_or(now)),
    }
}

proptest! {
    #![proptest_config(config(1))]

    #[test]
    fn headers_merge_by_name(earlier in strategy::header_lists(), layer in strategy::header_lists()) {
        laws::headers_merge_by_name(&earlier, &layer)?;
    }

    #[test]
    fn each_message_can_override_its_call(
        call in Word::any(),
        publisher in strategy::header_lists(),
        messages in prop::collection::vec((Kind::any(), prop::option::of(Word::any())), 0..6),
        now in strategy::timestamps(),
    ) {
        let silent = Word { key: None, timestamp: None, correlation_id: None, reply_to: None, headers: Vec::new() };
        let of_call: Vec<_> = call.headers.iter().map(OwnedHeader::borrowed).collect();
        let of_publisher: Vec<_> = publisher.iter().map(OwnedHeader::borrowed).collect();
        let defaults = call.defaults(&of_call, &of_publisher);
        let outgoing: Vec<Box<dyn Message>> = messages
            .iter()
            .map(|(kind, own)| match own {
                Some(own) => Box::new(own.outgoing(kind.message())) as Box<dyn Message>,
                None => kind.message(),
            })
            .collect();
        let mut batch = BatchOptions::default().batch_size(1 << 20).build(now)?;
        batch.messages(&defaults).extend(&outgoing)?;
        for ((kind, own), record) in messages.iter().zip(batch.records()) {
            let own = own.as_ref().unwrap_or(&silent);
            prop_assert_eq!(OwnedRecord::from(record), expected(kind, own, &call, &publisher, now));
        }
        prop_assert_eq!(batch.record_count(), messages.len());
    }

    /// A message costs as much as the record that it becomes, and the limits are the same for both.
    #[test]
    fn messages_have_the_same_limits_as_records(
        options in strategy::options(),
        values in prop::collection::vec(strategy::bytes(), 0..8),
        call in Word::any(),
    ) {
        let headers: Vec<_> = call.headers.iter().map(OwnedHeader::borrowed).collect();
        let defaults = call.defaults(&headers, &[]);
        let now = at(5);
        let mut batch = options.clone().build(now)?;
        let mut model = Model::new(options, now);
        let silent = Word { key: None, timestamp: None, correlation_id: None, reply_to: None, headers: Vec::new() };
        for value in &values {
            let record = expected(&Kind::Bytes(value.clone()), &silent, &call, &[], now);
            let cost = batch.messages(&defaults).cost(value);
            prop_assert_eq!(cost.ok(), model.cost(&record).ok());
            prop_assert_eq!(AppendOutcome::from(&batch.messages(&defaults).append(value)), model.append(&record));
        }
    }

    /// The three forms of `publish_batch`: all messages are appended, or nothing changes.
    #[test]
    fn publishing_is_all_or_nothing(
        spec in strategy::limited_batches(),
        values in prop::collection::vec(strategy::bytes(), 0..6),
        given in any::<bool>(),
    ) {
        let (defaults, batch) = (Defaults::default(), spec.batch());
        let mut filled = batch.clone();
        let filling = filled.messages(&defaults).try_extend(&values);
        let publish = Publish::to("topic").messages(&values);
        let publish = if given { publish.batch(batch.clone()) } else { publish };
        match (publish.prepare(|| batch.clone()), filling) {
            (Ok(ready), Ok(_)) => prop_assert_eq!(ready.batch, filled),
            (Err(PublishError::Send(SendError { reason: SendErrorReason::Seal(SealErrorReason::Empty), .. })), Ok(_)) => {
                prop_assert!(filled.is_empty(), "only a batch without records is refused: {filled:?}");
            }
            (Err(PublishError::Overflow { position, full, batch: returned, .. }), Err(ExtendError::Overflow(overflow))) => {
                prop_assert_eq!((position, full), (overflow.position, overflow.full));
                prop_assert_eq!(*returned, batch);
            }
            (Err(PublishError::Message { position, batch: returned, .. }), Err(error @ ExtendError::Failed { .. })) => {
                prop_assert_eq!(position, error.position());
                prop_assert_eq!(*returned, batch);
            }
            (publish, extend) => prop_assert!(false, "{publish:?}, but {extend:?}"),
        }
    }
}
