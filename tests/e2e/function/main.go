// The same function as app.py, as a Go developer would write it: compiled, static,
// net/http with its kept-alive connections, and no library of ours. It is its own
// runtime: a loop over the Runtime API.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
)

type event struct {
	Secrets []string `json:"secrets"`
	Paths   []string `json:"paths"`
}

type answer struct {
	Status      int     `json:"status"`
	CacheStatus *string `json:"cache_status"`
	Body        any     `json:"body"`
}

type result struct {
	Values  []string `json:"values"`
	Answers []answer `json:"answers"`
	AtInit  *string  `json:"at_init"`
}

func ask(path string) (answer, error) {
	port := os.Getenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT")
	request, err := http.NewRequest("GET", "http://127.0.0.1:"+port+path, nil)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("X-Aws-Parameters-Secrets-Token", os.Getenv("AWS_SESSION_TOKEN"))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	found := answer{Status: response.StatusCode, Body: string(text)}
	if status := response.Header.Get("Cache-Status"); status != "" {
		found.CacheStatus = &status
	}
	if bytes.HasPrefix(text, []byte("{")) {
		found.Body = json.RawMessage(text)
	}
	return found, nil
}

func getSecret(name string) (string, error) {
	found, err := ask("/secretsmanager/get?secretId=" + url.QueryEscape(name))
	if err != nil {
		return "", err
	}
	if found.Status != http.StatusOK {
		return "", fmt.Errorf("%s: status %d", name, found.Status)
	}
	var secret struct{ SecretString string }
	err = json.Unmarshal(found.Body.(json.RawMessage), &secret)
	return secret.SecretString, err
}

func handle(incoming event) (result, error) {
	done := result{Values: []string{}, Answers: []answer{}, AtInit: atInit}
	for _, name := range incoming.Secrets {
		value, err := getSecret(name)
		if err != nil {
			return done, err
		}
		done.Values = append(done.Values, value)
	}
	for _, path := range incoming.Paths {
		found, err := ask(path)
		if err != nil {
			return done, err
		}
		done.Answers = append(done.Answers, found)
	}
	return done, nil
}

var atInit *string

func main() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/"
	if name := os.Getenv("READ_AT_INIT"); name != "" {
		value, err := getSecret(name)
		if err != nil {
			log.Fatal(err)
		}
		atInit = &value
	}
	for {
		if err := serveOne(base + "invocation/"); err != nil {
			log.Fatal(err)
		}
	}
}

func serveOne(base string) error {
	next, err := http.Get(base + "next")
	if err != nil {
		return err
	}
	defer next.Body.Close()
	var incoming event
	if err := json.NewDecoder(next.Body).Decode(&incoming); err != nil {
		return err
	}
	path, body := "/response", any(nil)
	if body, err = handle(incoming); err != nil {
		path, body = "/error", map[string]string{"errorMessage": err.Error()}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	id := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
	answered, err := http.Post(base+id+path, "application/json", bytes.NewReader(text))
	if err == nil {
		answered.Body.Close()
	}
	return err
}
