package chart

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// A row of docs/METRICS.md, which is compared with a running server elsewhere: name, type, labels.
var documented = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\| ([^|]*) ?\\|")

// The names of all series that a server tells.
func metrics(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, row := range documented.FindAllStringSubmatch(text(t, "docs", "METRICS.md"), -1) {
		if row[2] != "histogram" {
			names = append(names, row[1])
			continue
		}
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			names = append(names, row[1]+suffix)
		}
	}
	if len(names) < 30 {
		t.Fatal("expected more metrics than", names)
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
				t.Errorf("%s: no server tells %s", rule.Alert, name)
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
