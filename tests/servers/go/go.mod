module kafka-batch/server

go 1.26.0

require github.com/twmb/franz-go/pkg/kfake v0.0.0
