// Writes and reads with franz-go: franz-go HOST:PORT[,…] write|read
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const franzGo = "github.com/twmb/franz-go"

type target struct {
	Partition  int32  `json:"partition"`
	Codec      string `json:"codec"`
	Idempotent bool   `json:"idempotent"`
}

type source struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Count     int    `json:"count"`
}

// A pair of JSON's array: name and value.
type header struct {
	name  string
	value []byte
}

func (h header) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]any{h.name, h.value})
}

func (h *header) UnmarshalJSON(text []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	return errors.Join(json.Unmarshal(pair[0], &h.name), json.Unmarshal(pair[1], &h.value))
}

type fields struct {
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []header `json:"headers"`
	Timestamp int64    `json:"timestamp"`
}

type sent struct {
	Partition int32 `json:"partition"`
	Position  int   `json:"position"`
	Offset    int64 `json:"offset"`
}

type offsets struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Earliest  int64     `json:"earliest"`
	Latest    int64     `json:"latest"`
	FromTime  *[2]int64 `json:"from_time"`
}

type record struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	fields
}

var (
	in  = bufio.NewReader(os.Stdin)
	out = bufio.NewWriter(os.Stdout)
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func emit(kind string, content any) {
	line, err := json.Marshal(map[string]any{kind: content})
	must(err)
	_, err = out.Write(append(line, '\n'))
	must(err)
}

func waitForLine() {
	_, err := out.WriteString("\"paused\"\n")
	must(err)
	must(out.Flush())
	_, err = in.ReadString('\n')
	must(err)
}

func main() {
	job, err := in.ReadBytes('\n')
	must(err)
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if module.Path == franzGo {
			emit("client", map[string]string{"name": "franz-go", "version": module.Version})
		}
	}
	servers := kgo.SeedBrokers(strings.Split(os.Args[1], ",")...)
	switch os.Args[2] {
	case "write":
		write(servers, job)
	case "read":
		read(servers, job)
	default:
		log.Fatalf("unknown mode %q", os.Args[2])
	}
	must(out.Flush())
}

func write(servers kgo.Opt, text []byte) {
	var job struct {
		Topic      string   `json:"topic"`
		Partitions []target `json:"partitions"`
		Records    []fields `json:"records"`
		PauseAfter *int     `json:"pause_after"`
	}
	must(json.Unmarshal(text, &job))
	codecs := map[string]kgo.CompressionCodec{
		"none":   kgo.NoCompression(),
		"gzip":   kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(),
		"zstd":   kgo.ZstdCompression(),
	}
	clients := make([]*kgo.Client, len(job.Partitions))
	for i, to := range job.Partitions {
		codec, known := codecs[to.Codec]
		if !known {
			log.Fatalf("unknown codec %q", to.Codec)
		}
		options := []kgo.Opt{
			servers, kgo.AllowAutoTopicCreation(), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(50 * time.Millisecond),
		}
		if !to.Idempotent {
			options = append(options, kgo.DisableIdempotentWrite())
		}
		client, err := kgo.NewClient(options...)
		must(err)
		defer client.Close()
		clients[i] = client
	}
	send := func(from, to int) {
		var lock sync.Mutex
		var all []sent
		var failed []error
		for i, client := range clients {
			partition := job.Partitions[i].Partition
			for position := from; position < to; position++ {
				each := job.Records[position]
				message := &kgo.Record{
					Topic: job.Topic, Partition: partition, Key: each.Key, Value: each.Value,
					Timestamp: time.UnixMilli(each.Timestamp),
				}
				for _, pair := range each.Headers {
					message.Headers = append(message.Headers, kgo.RecordHeader{Key: pair.name, Value: pair.value})
				}
				client.Produce(context.Background(), message, func(acknowledged *kgo.Record, err error) {
					lock.Lock()
					defer lock.Unlock()
					if err != nil {
						failed = append(failed, fmt.Errorf("record %d to partition %d: %w", position, partition, err))
					}
					all = append(all, sent{partition, position, acknowledged.Offset})
				})
			}
		}
		for _, client := range clients {
			must(client.Flush(context.Background()))
		}
		must(errors.Join(failed...))
		for _, each := range all {
			emit("sent", each)
		}
	}
	if job.PauseAfter == nil {
		send(0, len(job.Records))
		return
	}
	send(0, *job.PauseAfter)
	waitForLine()
	send(*job.PauseAfter, len(job.Records))
}

func read(servers kgo.Opt, text []byte) {
	var job struct {
		Partitions []source `json:"partitions"`
		Time       int64    `json:"time"`
		PauseAfter *int     `json:"pause_after"`
	}
	must(json.Unmarshal(text, &job))
	type place struct {
		topic     string
		partition int32
	}
	counts := map[place]int{}
	starts := map[string]map[int32]kgo.Offset{}
	var topics []string
	for _, from := range job.Partitions {
		counts[place{from.Topic, from.Partition}] = from.Count
		if starts[from.Topic] == nil {
			starts[from.Topic] = map[int32]kgo.Offset{}
			topics = append(topics, from.Topic)
		}
		starts[from.Topic][from.Partition] = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(servers, kgo.ConsumePartitions(starts))
	must(err)
	defer client.Close()
	emitOffsets(kadm.NewClient(client), topics, job.Partitions, job.Time)
	seen := map[place]int{}
	poll := func(limit *int) {
		for {
			complete := true
			for at, count := range counts {
				if limit != nil {
					count = min(count, *limit)
				}
				complete = complete && seen[at] >= count
			}
			if complete {
				return
			}
			fetches := client.PollFetches(context.Background())
			fetches.EachError(func(topic string, partition int32, err error) {
				log.Fatalf("%s-%d: %v", topic, partition, err)
			})
			fetches.EachRecord(func(message *kgo.Record) {
				seen[place{message.Topic, message.Partition}]++
				headers := []header{}
				for _, pair := range message.Headers {
					headers = append(headers, header{pair.Key, pair.Value})
				}
				content := fields{message.Key, message.Value, headers, message.Timestamp.UnixMilli()}
				emit("record", record{message.Topic, message.Partition, message.Offset, content})
			})
		}
	}
	if job.PauseAfter != nil {
		poll(job.PauseAfter)
		waitForLine()
	}
	poll(nil)
}

func emitOffsets(admin *kadm.Client, topics []string, partitions []source, time int64) {
	listed := func(offsets kadm.ListedOffsets, err error) kadm.ListedOffsets {
		must(err)
		must(offsets.Error())
		return offsets
	}
	earliest := listed(admin.ListStartOffsets(context.Background(), topics...))
	latest := listed(admin.ListEndOffsets(context.Background(), topics...))
	times := listed(admin.ListOffsetsAfterMilli(context.Background(), time, topics...))
	for _, from := range partitions {
		first, _ := earliest.Lookup(from.Topic, from.Partition)
		end, _ := latest.Lookup(from.Topic, from.Partition)
		found, _ := times.Lookup(from.Topic, from.Partition)
		line := offsets{from.Topic, from.Partition, first.Offset, end.Offset, nil}
		if found.Timestamp >= 0 {
			line.FromTime = &[2]int64{found.Offset, found.Timestamp}
		}
		emit("range", line)
	}
}
