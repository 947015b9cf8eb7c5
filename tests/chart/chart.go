// Package chart renders the Helm chart with the real helm and reads what comes out as Kubernetes would: every document
// strictly as the type that it says it is.
package chart

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Root is the project's directory, Dir the chart's.
var (
	Root = filepath.Join("..", "..")
	Dir  = filepath.Join(Root, "helm", "modelward")
)

// Names are those of the charts: the servers', and the templates of the sidecar.
var Names = []string{"modelward", "modelward-sidecar"}

// Namespace is where tests install.
const Namespace = "llm"

// Document is one rendered object, as text and as its type.
type Document struct {
	Kind   string
	Name   string
	Text   []byte
	Object any
}

// Pod is the template of a workload, or a pod that stands alone.
type Pod struct {
	Owner string
	Meta  meta.ObjectMeta
	Spec  core.PodSpec
}

// The types of all that the chart may render, by apiVersion and kind.
var objects = map[string]func() any{
	"v1/ConfigMap":                            func() any { return &core.ConfigMap{} },
	"v1/PersistentVolumeClaim":                func() any { return &core.PersistentVolumeClaim{} },
	"v1/Pod":                                  func() any { return &core.Pod{} },
	"v1/Secret":                               func() any { return &core.Secret{} },
	"v1/Service":                              func() any { return &core.Service{} },
	"v1/ServiceAccount":                       func() any { return &core.ServiceAccount{} },
	"apps/v1/Deployment":                      func() any { return &apps.Deployment{} },
	"apps/v1/StatefulSet":                     func() any { return &apps.StatefulSet{} },
	"policy/v1/PodDisruptionBudget":           func() any { return &policy.PodDisruptionBudget{} },
	"networking.k8s.io/v1/NetworkPolicy":      func() any { return &networking.NetworkPolicy{} },
	"monitoring.coreos.com/v1/ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
	"monitoring.coreos.com/v1/PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
	"cert-manager.io/v1/Certificate":          func() any { return &certmanager.Certificate{} },
}

// Helm runs helm in a directory and answers what it printed; an error carries what it complained about.
func Helm(directory string, arguments ...string) (string, error) {
	var out, complaint bytes.Buffer
	command := exec.Command("helm", arguments...)
	command.Dir, command.Stdout, command.Stderr = directory, &out, &complaint
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("helm %s: %w: %s", strings.Join(arguments, " "), err, complaint.String())
	}
	return out.String(), nil
}

// Render renders the chart as the release `modelward` and reads every document.
func Render(arguments ...string) ([]Document, error) {
	text, err := Helm(".", append([]string{"template", "modelward", Dir, "--namespace", Namespace}, arguments...)...)
	if err != nil {
		return nil, err
	}
	return Read(text)
}

// Read reads the documents of a text strictly: no field that the type does not have, no field twice.
func Read(text string) ([]Document, error) {
	var documents []Document
	for part := range strings.SplitSeq("\n"+text, "\n---") {
		var about struct {
			meta.TypeMeta   `json:",inline"`
			meta.ObjectMeta `json:"metadata"`
		}
		if err := yaml.Unmarshal([]byte(part), &about); err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, part)
		}
		if about.Kind == "" {
			continue
		}
		made, known := objects[about.APIVersion+"/"+about.Kind]
		if !known {
			return nil, fmt.Errorf("%s %s: no type is known", about.APIVersion, about.Kind)
		}
		object := made()
		if err := yaml.UnmarshalStrict([]byte(part), object); err != nil {
			return nil, fmt.Errorf("%s %s: %w", about.Kind, about.Name, err)
		}
		documents = append(documents, Document{about.Kind, about.Name, []byte(part), object})
	}
	return documents, nil
}

// Find answers the objects of one type.
func Find[T any](documents []Document) []*T {
	var found []*T
	for _, document := range documents {
		if object, is := document.Object.(*T); is {
			found = append(found, object)
		}
	}
	return found
}

// Pods answers every pod and every template of pods.
func Pods(documents []Document) []Pod {
	var pods []Pod
	for _, document := range documents {
		switch object := document.Object.(type) {
		case *core.Pod:
			pods = append(pods, Pod{object.Name, object.ObjectMeta, object.Spec})
		case *apps.Deployment:
			pods = append(pods, Pod{object.Name, object.Spec.Template.ObjectMeta, object.Spec.Template.Spec})
		case *apps.StatefulSet:
			pods = append(pods, Pod{object.Name, object.Spec.Template.ObjectMeta, object.Spec.Template.Spec})
		}
	}
	return pods
}

// Examples answers the files of values that are kept with the chart.
func Examples() ([]string, error) {
	return filepath.Glob(filepath.Join(Dir, "ci", "*-values.yaml"))
}

// Text reads a file of the project.
func Text(path ...string) (string, error) {
	text, err := os.ReadFile(filepath.Join(append([]string{Root}, path...)...))
	return string(text), err
}
