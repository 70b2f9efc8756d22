/* Publishes records from C. Arguments: host, port, topic, number of records. Exit status 0: everything is delivered. */

#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct progress {
    size_t delivered;
    bool made_room, has_failed, is_closed;
};

static void on_output(const KbOutput *output, void *context) {
    struct progress *progress = context;
    switch (output->kind) {
    case KB_OUTPUT_KIND_DELIVERED:
        progress->delivered += output->count;
        progress->made_room = true;
        break;
    case KB_OUTPUT_KIND_FAILED:
        fprintf(stderr, "%s\n", output->text);
        progress->has_failed = true;
        break;
    case KB_OUTPUT_KIND_CONNECTION_ERROR:
        fprintf(stderr, "%s\n", output->text);
        break;
    case KB_OUTPUT_KIND_CLOSED:
        progress->is_closed = true;
        break;
    default:
        break;
    }
}

/* Sends the batch. While the producer has no memory for it, waits for the outcomes of earlier ones. */
static bool send_batch(KbProducer *producer, const char *topic, struct progress *progress) {
    for (;;) {
        progress->made_room = false;
        switch (kb_send(producer, topic, 0, now())) {
        case KB_RESULT_OK:
            return true;
        case KB_RESULT_BUFFER_FULL:
            while (!progress->made_room)
                if (!drive(producer, on_output, progress) || progress->has_failed) return false;
            break;
        default:
            fprintf(stderr, "%s\n", kb_error(producer));
            return false;
        }
    }
}

static bool publish(KbProducer *producer, const char *topic, unsigned long records, struct progress *progress) {
    char value[32];
    for (unsigned long number = 0; number < records; number++) {
        int length = snprintf(value, sizeof value, "reading %lu", number);
        KbResult result;
        while ((result = kb_append(producer, (const uint8_t *)value, (size_t)length, now())) == KB_RESULT_BATCH_FULL)
            if (!send_batch(producer, topic, progress)) return false;
        if (result != KB_RESULT_OK) {
            fprintf(stderr, "%s\n", kb_error(producer));
            return false;
        }
    }
    if (!send_batch(producer, topic, progress)) return false;
    kb_close(producer, now());
    while (!progress->is_closed)
        if (!drive(producer, on_output, progress)) return false;
    return !progress->has_failed && progress->delivered == records;
}

int main(int count, char **arguments) {
    if (count != 5) {
        fprintf(stderr, "usage: %s HOST PORT TOPIC RECORDS\n", arguments[0]);
        return 2;
    }
    now(); /* the clock starts here */
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    int64_t wall_millis = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000;
    uint16_t port = (uint16_t)strtoul(arguments[2], NULL, 10);
    /* A seed for jitter only: with SCRAM it would have to come from getrandom(2). */
    KbProducer *producer = kb_new(arguments[1], port, 16384, wall_millis, (uint64_t)wall.tv_nsec);
    if (producer == NULL) return 2;
    struct progress progress = {0};
    bool succeeded = publish(producer, arguments[3], strtoul(arguments[4], NULL, 10), &progress);
    printf("c: %zu records delivered\n", progress.delivered);
    kb_free(producer);
    return succeeded ? 0 : 1;
}
