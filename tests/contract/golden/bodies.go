// How Go's encoding/json writes what its AWS SDK has read: the bodies of the AWS
// Parameters and Secrets extension, in the shape of those that others have recorded.
//
// Reads the cases of aws_extension.json, and prints their bodies:
//
//	go run bodies.go < aws_extension.json
package main

import (
	"encoding/json"
	"math/big"
	"os"
	"time"
)

type metadata struct{}
type secretIn struct {
	ARN, Name, SecretString, VersionId *string
	CreatedDate                        *float64
	SecretBinary                       []byte
	VersionStages                      []string
}
type secretOut struct {
	ARN            *string
	CreatedDate    *time.Time
	Name           *string
	SecretBinary   []byte
	SecretString   *string
	VersionId      *string
	VersionStages  []string
	ResultMetadata metadata
}
type parameterIn struct {
	ARN, DataType, Name, Selector, SourceResult, Value *string
	LastModifiedDate                                   *float64
	Type                                               string
	Version                                            int64
}
type parameter struct {
	ARN              *string
	DataType         *string
	LastModifiedDate *time.Time
	Name             *string
	Selector         *string
	SourceResult     *string
	Type             string
	Value            *string
	Version          int64
}
type parameterOut struct {
	Parameter      *parameter
	ResultMetadata metadata
}

func date(seconds *float64) *time.Time {
	if seconds == nil {
		return nil
	}
	f := new(big.Float).SetFloat64(*seconds)
	i, _ := f.Mul(f, big.NewFloat(1000)).Int64()
	t := time.Unix(0, 1e6*i).UTC()
	return &t
}

func main() {
	var cases []struct {
		Operation string
		Answer    json.RawMessage
	}
	must(json.NewDecoder(os.Stdin).Decode(&cases))
	bodies := []string{}
	for _, c := range cases {
		var body []byte
		var err error
		if c.Operation == "GetParameter" {
			var in struct{ Parameter parameterIn }
			must(json.Unmarshal(c.Answer, &in))
			p := in.Parameter
			body, err = json.Marshal(parameterOut{Parameter: &parameter{p.ARN, p.DataType, date(p.LastModifiedDate), p.Name, p.Selector, p.SourceResult, p.Type, p.Value, p.Version}})
		} else {
			var s secretIn
			must(json.Unmarshal(c.Answer, &s))
			body, err = json.Marshal(secretOut{s.ARN, date(s.CreatedDate), s.Name, s.SecretBinary, s.SecretString, s.VersionId, s.VersionStages, metadata{}})
		}
		must(err)
		bodies = append(bodies, string(body))
	}
	must(json.NewEncoder(os.Stdout).Encode(bodies))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
