#ifndef KAFKA_BATCH_H
#define KAFKA_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What an output asks for, or says.
typedef enum {
  // Connect to `text` and `port`, and call `kb_connected` or `kb_disconnected`.
  KB_OUTPUT_KIND_CONNECT,
  // There are bytes to write on the connection: see `kb_next_bytes`.
  KB_OUTPUT_KIND_TRANSMIT,
  // Close the connection. Report nothing.
  KB_OUTPUT_KIND_CLOSE,
  // A batch is in the log, from offset `offset` on. `count` is its number of records.
  KB_OUTPUT_KIND_DELIVERED,
  // A batch has failed: `text` says why.
  KB_OUTPUT_KIND_FAILED,
  // A connection could not be made, or was lost: `text` is for a log.
  KB_OUTPUT_KIND_CONNECTION_ERROR,
  // The producer is closed. This is the last event.
  KB_OUTPUT_KIND_CLOSED,
  // Wait for a socket, or until `deadline`, which is in nanoseconds; -1 is no deadline. Always the last output.
  KB_OUTPUT_KIND_WAIT,
} KbOutputKind;

// The result of a command.
typedef enum {
  // It is done.
  KB_RESULT_OK,
  // The record does not fit into the batch: send the batch, and append the record again.
  KB_RESULT_BATCH_FULL,
  // There is no memory for the batch: send it again after the next `Delivered` or `Failed`.
  KB_RESULT_BUFFER_FULL,
  // It cannot be done: `kb_error` says why.
  KB_RESULT_ERROR,
} KbResult;

// A producer: the state machine, and the batch that is being filled.
typedef struct KbProducer KbProducer;

// An output. Which members mean something depends on the kind. The text is valid until the next call.
typedef struct {
  KbOutputKind kind;
  uint64_t connection;
  uint16_t port;
  int64_t offset;
  uintptr_t count;
  int64_t deadline;
  const char *text;
} KbOutput;

// Some bytes that belong to the producer.
typedef struct {
  const uint8_t *data;
  uintptr_t length;
} KbBytes;

// Creates a producer with one bootstrap server. `wall_millis` is the time since the Unix epoch at the moment at which the clock of
// the other calls, in nanoseconds, is 0. `batch_size` is in bytes. Returns null if a string is not UTF-8 or the size is too small.
//
// # Safety
// `host` ends with a zero.
KbProducer *kb_new(const char *host,
                   uint16_t port,
                   uintptr_t batch_size,
                   int64_t wall_millis,
                   uint64_t seed);

// Frees a producer. Its unfinished batches are lost.
//
// # Safety
// As above. Null is allowed.
void kb_free(KbProducer *pointer);

// Returns the text of the last error.
//
// # Safety
// As above.
const char *kb_error(KbProducer *pointer);

// Appends a record to the batch.
//
// # Safety
// As above, and there are `length` bytes at `value`.
KbResult kb_append(KbProducer *pointer, const uint8_t *value, uintptr_t length, int64_t now);

// Sends the batch to a partition, and begins a new one.
//
// # Safety
// As above, and `topic` ends with a zero.
KbResult kb_send(KbProducer *pointer, const char *topic, int32_t partition, int64_t now);

// Lets the producer end with `Closed`, once every batch has its outcome.
//
// # Safety
// As above.
void kb_close(KbProducer *pointer, int64_t now);

// Returns the next output. To be called until it is `Wait`: after every other call, and at each deadline.
//
// # Safety
// As above.
KbOutput kb_poll(KbProducer *pointer, int64_t now);

// The connection is established.
//
// # Safety
// As above.
void kb_connected(KbProducer *pointer, uint64_t connection, int64_t now);

// Bytes were received.
//
// # Safety
// As above, and there are `length` bytes at `data`.
void kb_received(KbProducer *pointer,
                 uint64_t connection,
                 const uint8_t *data,
                 uintptr_t length,
                 int64_t now);

// The connection has ended, or could not be established. `error` is that of the system, or 0.
//
// # Safety
// As above.
void kb_disconnected(KbProducer *pointer,
                     uint64_t connection,
                     bool was_connected,
                     int32_t error,
                     int64_t now);

// Returns the next bytes to write on a connection; none if the length is 0. They are valid until `kb_written`, `kb_disconnected`,
// or a `Close` of this connection, so they need not be copied.
//
// # Safety
// As above.
KbBytes kb_next_bytes(KbProducer *pointer,
                      uint64_t connection);

// So many of these bytes were written.
//
// # Safety
// As above.
void kb_written(KbProducer *pointer, uint64_t connection, uintptr_t length, int64_t now);

#endif  /* KAFKA_BATCH_H */
