package chart

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func text(t *testing.T, path ...string) string {
	t.Helper()
	text, err := Text(path...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheReadmesTellTheValuesAsTheyAre(t *testing.T) {
	for _, name := range Names {
		readme, values := text(t, "helm", name, "README.md"), text(t, "helm", name, "values.yaml")
		if current, err := WithValues(readme, values); err != nil || current != readme {
			t.Errorf("helm/%s/README.md is not up to date: run `go run ./readme` in tests/chart %v", name, err)
		}
	}
	readme, values := text(t, "helm", "modelward", "README.md"), text(t, "helm", "modelward", "values.yaml")
	changed, err := WithValues(readme, strings.Replace(values, "replicaCount: 1", "replicaCount: 7", 1))
	if err != nil || changed == readme || !strings.Contains(changed, "| `replicaCount` | `7` |") {
		t.Error("a changed value is not noticed", err)
	}
}

type schema struct {
	Properties           map[string]schema
	AdditionalProperties any
	Ref                  string `json:"$ref"`
	Type                 any
}

// Lists where values and schema name different things.
func differences(path string, values map[string]any, schema schema) (all []string) {
	for name := range maps.Keys(values) {
		if _, declared := schema.Properties[name]; !declared {
			all = append(all, path+name+" has no schema")
		}
	}
	for name, declared := range schema.Properties {
		value, given := values[name]
		if !given {
			all = append(all, path+name+" has no default")
		}
		if len(declared.Properties) > 0 {
			if declared.AdditionalProperties != false {
				all = append(all, path+name+" accepts misspelt names")
			}
			group, _ := value.(map[string]any)
			all = append(all, differences(path+name+".", group, declared)...)
		}
	}
	return all
}

func TestTheSchemasKnowExactlyTheValues(t *testing.T) {
	// Those without a default are of charts that have these as a dependency; claims are devices, and nobody has them so.
	for name, expected := range map[string][]string{
		"modelward":         {"enabled has no default", "global has no default", "resources.claims has no default"},
		"modelward-sidecar": {"global has no default", "resources.claims has no default"},
	} {
		var values map[string]any
		if err := yaml.Unmarshal([]byte(text(t, "helm", name, "values.yaml")), &values); err != nil {
			t.Fatal(err)
		}
		var strict schema
		if err := json.Unmarshal([]byte(text(t, "helm", name, "values.schema.json")), &strict); err != nil {
			t.Fatal(err)
		}
		if strict.AdditionalProperties != false {
			t.Error(name, "accepts misspelt names")
		}
		all := differences("", values, strict)
		slices.Sort(all)
		if !slices.Equal(all, expected) {
			t.Error(name, all)
		}
	}
}
