package chart

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// How src/ registers metrics, and which names each way gives.
var registered = []struct {
	written  *regexp.Regexp
	suffixes []string
}{
	{regexp.MustCompile(`\.(?:counter|family)\(\s*"(\w+)"`), []string{"_total"}},
	{regexp.MustCompile(`\.gauge\(\s*"(\w+)"`), []string{""}},
	{regexp.MustCompile(`let (\w+) = Histogram::new\(`), []string{"_bucket", "_count", "_sum"}},
	{regexp.MustCompile(`\.register\(\s*"(\w+)",[^;]*\babout\)`), []string{"_info"}},
	{regexp.MustCompile(`\.register\(\s*"(\w+)"`), []string{""}},
	{regexp.MustCompile(`\.register_with_unit\(\s*"(\w+)",\s*"[^"]*",\s*Unit::Seconds`), []string{"_seconds_bucket", "_seconds_count", "_seconds_sum"}},
}

// The names of all metrics that the sources register.
func metrics(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, place := range []string{"telemetry", "app"} {
		err := filepath.WalkDir(filepath.Join(Root, "src", place), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".rs" {
				return err
			}
			text, err := os.ReadFile(path)
			for _, way := range registered {
				for _, found := range way.written.FindAllStringSubmatch(string(text), -1) {
					for _, suffix := range way.suffixes {
						names = append(names, "modelward_"+found[1]+suffix)
					}
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// The metrics that an expression names. It is parsed as Prometheus parses it.
func named(t *testing.T, expression string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseExpr(expression)
	if err != nil {
		t.Fatal(expression, err)
	}
	for _, matchers := range parser.ExtractSelectors(parsed) {
		for _, matcher := range matchers {
			if matcher.Name == labels.MetricName {
				names = append(names, matcher.Value)
			}
		}
	}
	return names
}

func rules(t *testing.T) []monitoring.Rule {
	t.Helper()
	rules := one[monitoring.PrometheusRule](t, render(t, example("everything")...)).Spec.Groups[0].Rules
	if len(rules) < 8 {
		t.Fatal("expected more alerts than", len(rules))
	}
	return rules
}

func TestAlertsNameOnlyMetricsThatExist(t *testing.T) {
	known := metrics(t)
	for _, rule := range rules(t) {
		names := named(t, rule.Expr.String())
		if len(names) == 0 {
			t.Error(rule.Alert, "names no metric")
		}
		for _, name := range names {
			if !slices.Contains(known, name) {
				t.Errorf("%s: nothing in src registers %s", rule.Alert, name)
			}
		}
	}
}

func TestAMetricThatIsNotThereIsNoticed(t *testing.T) {
	known := metrics(t)
	for _, expression := range []string{"modelward_store_upp == 0", "rate(modelward_panics[5m])", "modelward_revision_total"} {
		if slices.Contains(known, named(t, expression)[0]) {
			t.Error(expression)
		}
	}
	if _, err := parser.ParseExpr("rate(modelward_panics_total) >"); err == nil {
		t.Error("a broken expression is not noticed")
	}
}

func TestAlertsSelectWhatTheMonitorScrapes(t *testing.T) {
	for _, rule := range rules(t) {
		for _, selected := range strings.SplitAfter(rule.Expr.String(), "{")[1:] {
			if !strings.HasPrefix(selected, `namespace="llm",service="llm-config-ops"`) {
				t.Error(rule.Alert, selected)
			}
		}
		if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Error(rule.Alert, "does not say what it means")
		}
	}
}

func TestNobodyProbesIsNoAlertWhereNobodyShall(t *testing.T) {
	groups := one[monitoring.PrometheusRule](t, render(t, example("openshift")...)).Spec.Groups
	for _, rule := range groups[0].Rules {
		if rule.Alert == "ModelwardNobodyProbes" {
			t.Error("settings.health.enabled is false there")
		}
	}
}
