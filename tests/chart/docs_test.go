package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

// A block of docs/KUBERNETES.md with its marker, and the block of its output if one follows.
var block = regexp.MustCompile("(?m)^<!-- (file|chart|manifest): ([a-z.-]+) -->\n```[a-z]+\n((?:.*\n)*?)```\n(?:\n```(?:text|yaml)\n((?:.*\n)*?)```\n)?")

// The directory of a reader who has followed the page: the checkout, and the files that it tells to write.
func reader(t *testing.T) (directory string, blocks [][]string) {
	t.Helper()
	page := text(t, "docs", "KUBERNETES.md")
	blocks = block.FindAllStringSubmatch(page, -1)
	if len(blocks) != strings.Count(page, "<!-- ") || len(blocks) < 10 {
		t.Fatal("a marker is not followed by a block; there are", len(blocks))
	}
	directory = t.TempDir()
	chart, err := filepath.Abs(filepath.Join(Root, "helm"))
	if err == nil {
		err = os.Symlink(chart, filepath.Join(directory, "helm"))
	}
	// A copy, because dependencies are put beside it.
	if err == nil {
		err = os.CopyFS(filepath.Join(directory, "examples", "assistant"), os.DirFS(assistant(t)))
	}
	for _, found := range blocks {
		if found[1] != "chart" && err == nil {
			err = os.WriteFile(filepath.Join(directory, found[2]), []byte(found[3]), 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return directory, blocks
}

// What would be sent to a cluster is rendered; the other arguments stay as they stand.
var sent = regexp.MustCompile(`(?m)^helm (?:install|upgrade) `)

func TestTheCommandsOfThePageDoWhatItSays(t *testing.T) {
	directory, blocks := reader(t)
	ran := 0
	for _, found := range blocks {
		if found[1] != "chart" {
			continue
		}
		ran++
		command := exec.Command("bash", "-euo", "pipefail", "-c", sent.ReplaceAllString(found[3], "helm template "))
		command.Dir = directory
		told, err := command.Output()
		if err != nil {
			t.Errorf("%s: %v", found[2], err)
			continue
		}
		if found[4] != "" {
			if string(told) != found[4] {
				t.Errorf("%s: the page shows another output than\n%s", found[2], told)
			}
			continue
		}
		documents, err := Read(string(told))
		if err != nil || len(Pods(documents)) == 0 {
			t.Error(found[2], err)
		}
	}
	if ran < 8 {
		t.Error("expected more commands than", ran)
	}
}

func TestEveryHelmCommandOfThePageIsRun(t *testing.T) {
	unmarked := block.ReplaceAllString(text(t, "docs", "KUBERNETES.md"), "")
	for _, line := range regexp.MustCompile(`(?m)^helm (install|upgrade|template).*`).FindAllString(unmarked, -1) {
		t.Error("no test runs", line)
	}
}

func TestManifestsOfThePageAreSound(t *testing.T) {
	directory, _ := reader(t)
	written, err := os.ReadFile(filepath.Join(directory, "migrate-down.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	documents, err := Read(string(written))
	if err != nil {
		t.Fatal(err)
	}
	if err := release(t, versions[0]).Check(documents[0]); err != nil {
		t.Error(err)
	}
	if all := complaints(t, Pods(documents)); len(all) > 0 {
		t.Error(all)
	}
}

// Helm shows the notes only after it has asked a cluster; here they are rendered as the text of a ConfigMap.
func notes(t *testing.T, values string) string {
	t.Helper()
	directory := filepath.Join(t.TempDir(), "modelward")
	if err := os.CopyFS(directory, os.DirFS(Dir)); err != nil {
		t.Fatal(err)
	}
	page := `{{ define "notes" }}` + text(t, "helm", "modelward", "templates", "NOTES.txt") + `{{ end }}
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data: {text: {{ include "notes" . | quote }}}
`
	if err := os.WriteFile(filepath.Join(directory, "templates", "notes.yaml"), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	told, err := Helm(".", "template", "modelward", directory, "--namespace", Namespace, "--values", values, "--show-only", "templates/notes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents, err := Read(told)
	if err != nil {
		t.Fatal(err)
	}
	return one[core.ConfigMap](t, documents).Data["text"]
}

func TestTheNotesNameWhatIsThere(t *testing.T) {
	examples, _ := Examples()
	for _, example := range examples {
		told := notes(t, example)
		commands := regexp.MustCompile(`(?m)^  (helm|kubectl) .*`).FindAllString(told, -1)
		if len(commands) < 3 {
			t.Error("expected three commands in", told)
		}
		there := map[string]bool{}
		for _, document := range render(t, "--values", example) {
			there[strings.ToLower(document.Kind)+"/"+document.Name] = true
		}
		for _, name := range regexp.MustCompile(`(deployment|statefulset|service)/[a-z-]+`).FindAllString(told, -1) {
			if !there[name] {
				t.Error(example, "has no", name)
			}
		}
	}
}
