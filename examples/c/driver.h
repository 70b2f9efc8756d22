#ifndef DRIVER_H
#define DRIVER_H

#include "kafka_batch.h"

/* Carries out the producer's outputs until it waits, and then waits for its sockets until its deadline. Calls on_output for each
 * output that is an event. Returns false if there is an error of the system. */
bool drive(KbProducer *producer, void (*on_output)(const KbOutput *output, void *context), void *context);

/* Nanoseconds since the first call. */
int64_t now(void);

#endif
