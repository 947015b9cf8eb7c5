// Reads what `helm template` printed and prints it as a JSON list, for programs that read no YAML.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"modelward/tests/chart"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := convert(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func convert(in io.Reader, out io.Writer) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	documents, err := chart.Read(string(text))
	if err != nil {
		return err
	}
	var list []json.RawMessage
	for _, document := range documents {
		plain, err := yaml.YAMLToJSON(document.Text)
		if err != nil {
			return err
		}
		list = append(list, plain)
	}
	return json.NewEncoder(out).Encode(list)
}
