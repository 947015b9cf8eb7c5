package chart

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The place of the table in the chart's README.
const (
	open   = "<!-- values: generated from values.yaml by `go run ./readme` in tests/chart -->\n"
	closed = "<!-- end of values -->\n"
)

// WithValues answers a README whose table is made of values.yaml and its comments.
func WithValues(readme, values string) (string, error) {
	before, rest, begun := strings.Cut(readme, open)
	_, after, ended := strings.Cut(rest, closed)
	if !begun || !ended {
		return "", fmt.Errorf("the README has no place for the values: %s", open)
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(values), &document); err != nil {
		return "", err
	}
	rows := []string{"| value | default | |", "| --- | --- | --- |"}
	if err := describe(&rows, "", document.Content[0]); err != nil {
		return "", err
	}
	return before + open + "\n" + strings.Join(rows, "\n") + "\n\n" + closed + after, nil
}

// A row for each value; one for a group too if something is said about it.
func describe(rows *[]string, prefix string, group *yaml.Node) error {
	for at := 0; at < len(group.Content); at += 2 {
		key, value := group.Content[at], group.Content[at+1]
		name, said := prefix+key.Value, prose(key.HeadComment)
		if strings.Contains(key.Value, ".") {
			name = fmt.Sprintf("%s[%q]", strings.TrimSuffix(prefix, "."), key.Value)
		}
		isGroup := value.Kind == yaml.MappingNode && len(value.Content) > 0
		written := ""
		if !isGroup {
			var plain any
			if err := value.Decode(&plain); err != nil {
				return err
			}
			text, err := json.Marshal(plain)
			if err != nil {
				return err
			}
			written = "`" + string(text) + "`"
		}
		if !isGroup || said != "" {
			*rows = append(*rows, fmt.Sprintf("| `%s` | %s | %s |", name, written, said))
		}
		if isGroup {
			if err := describe(rows, name+".", value); err != nil {
				return err
			}
		}
	}
	return nil
}

func prose(comment string) string {
	lines := strings.Split(comment, "\n")
	for at, line := range lines {
		lines[at] = strings.TrimSpace(strings.TrimPrefix(line, "#"))
	}
	return strings.ReplaceAll(strings.Join(lines, " "), "|", "\\|")
}
