// Writes the tables of values into the charts' READMEs. Run it in tests/chart: go run ./readme
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"modelward/tests/chart"
)

func main() {
	for _, name := range chart.Names {
		if err := write(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func write(name string) error {
	readme, err := chart.Text("helm", name, "README.md")
	if err != nil {
		return err
	}
	values, err := chart.Text("helm", name, "values.yaml")
	if err != nil {
		return err
	}
	current, err := chart.WithValues(readme, values)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(chart.Root, "helm", name, "README.md"), []byte(current), 0o644)
}
