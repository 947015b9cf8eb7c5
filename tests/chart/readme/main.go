// Writes the table of values into the chart's README. Run it in tests/chart: go run ./readme
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"modelward/tests/chart"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write() error {
	readme, err := chart.Text("helm", "modelward", "README.md")
	if err != nil {
		return err
	}
	values, err := chart.Text("helm", "modelward", "values.yaml")
	if err != nil {
		return err
	}
	current, err := chart.WithValues(readme, values)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(chart.Dir, "README.md"), []byte(current), 0o644)
}
