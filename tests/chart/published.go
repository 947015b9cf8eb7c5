package chart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// The module that carries the schemas; it is downloaded and checked as any other, and nothing of it is compiled.
const carrier = "sigs.k8s.io/kubectl-validate@v0.0.4"

// Published is the directory of the API schemas that one version of Kubernetes publishes. They know what types do not:
// which fields are required, and which words a field takes.
type Published string

// Release answers the schemas of a version, as `1.30`.
func Release(version string) (Published, error) {
	told, err := exec.Command("go", "mod", "download", "-json", carrier).Output()
	if err != nil {
		return "", fmt.Errorf("%s cannot be downloaded: %w: %s", carrier, err, told)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(told, &module); err != nil {
		return "", err
	}
	directory := filepath.Join(module.Dir, "pkg", "openapiclient", "builtins", version)
	_, err = os.Stat(directory)
	return Published(directory), err
}

// Check says what is wrong with a document. Types of others than Kubernetes itself have no schema here.
func (published Published) Check(document Document) error {
	var about struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(document.Text, &about); err != nil {
		return err
	}
	group, version, grouped := strings.Cut(about.APIVersion, "/")
	path := []string{"apis", group, version + ".json"}
	if !grouped {
		group, version = "", group
		path = []string{"api", version + ".json"}
	}
	if strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io") {
		return nil
	}
	page, err := os.ReadFile(filepath.Join(append([]string{string(published)}, path...)...))
	if err != nil {
		return fmt.Errorf("%s is no API of this version: %w", about.APIVersion, err)
	}
	schema, err := compiled(page, group, version, about.Kind)
	if err != nil {
		return err
	}
	text, err := yaml.YAMLToJSON(document.Text)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func compiled(text []byte, group, version, kind string) (*jsonschema.Schema, error) {
	var pages struct {
		Components struct {
			Schemas map[string]struct {
				Kinds []struct{ Group, Version, Kind string } `json:"x-kubernetes-group-version-kind"`
			}
		}
	}
	if err := json.Unmarshal(text, &pages); err != nil {
		return nil, err
	}
	for name, schema := range pages.Components.Schemas {
		for _, of := range schema.Kinds {
			if of.Group == group && of.Version == version && of.Kind == kind {
				page, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
				if err != nil {
					return nil, err
				}
				compiler := jsonschema.NewCompiler()
				if err := compiler.AddResource("api.json", page); err != nil {
					return nil, err
				}
				return compiler.Compile("api.json#/components/schemas/" + name)
			}
		}
	}
	return nil, fmt.Errorf("%s is no kind of %s/%s", kind, group, version)
}
