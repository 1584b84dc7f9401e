// Renders a Helm chart as Helm's engine does: Go's text/template, sprig, and the functions that Helm adds.
// Standard input: JSON {name, service, namespace, chart, values}; argument: the chart's folder. Output: all manifests.
// Debian has no helm, so lookups in a cluster, subcharts and hooks are missing.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

type release struct {
	Name      string         `json:"name"`
	Service   string         `json:"service"`
	Namespace string         `json:"namespace"`
	Chart     map[string]any `json:"chart"`
	Values    map[string]any `json:"values"`
}

// files is .Files of a chart: all but the templates.
type files map[string][]byte

func (f files) Get(name string) string { return string(f[name]) }

func (f files) Glob(pattern string) files {
	found := files{}
	for name, content := range f {
		if matches, err := filepath.Match(pattern, name); err == nil && matches {
			found[name] = content
		}
	}
	return found
}

func main() {
	if err := render(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(chart string) error {
	var input release
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		return err
	}
	all, err := read(chart, "")
	if err != nil {
		return err
	}
	root := template.New("chart").Option("missingkey=zero")
	root.Funcs(functions(root))
	var names []string
	rest := files{}
	for name, content := range all {
		if !strings.HasPrefix(name, "templates/") {
			rest[name] = content
			continue
		}
		names = append(names, name)
		if _, err := root.New(name).Parse(string(content)); err != nil {
			return err
		}
	}
	sort.Strings(names)
	data := map[string]any{
		"Release": map[string]any{"Name": input.Name, "Namespace": input.Namespace, "Service": input.Service},
		"Chart":   input.Chart,
		"Values":  input.Values,
		"Files":   rest,
	}
	for _, name := range names {
		if strings.HasPrefix(filepath.Base(name), "_") {
			continue
		}
		var out bytes.Buffer
		if err := root.ExecuteTemplate(&out, name, data); err != nil {
			return err
		}
		if strings.HasSuffix(name, ".txt") {
			continue
		}
		// A key without a value is printed by Go like this; Helm removes it, too.
		fmt.Printf("---\n# Source: %s\n%s\n", name, strings.ReplaceAll(out.String(), "<no value>", ""))
	}
	return nil
}

// read follows links, as Helm does.
func read(folder string, prefix string) (files, error) {
	found := files{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		path, name := filepath.Join(folder, entry.Name()), prefix+entry.Name()
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			below, err := read(path, name+"/")
			if err != nil {
				return nil, err
			}
			for key, content := range below {
				found[key] = content
			}
		} else if found[name], err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// functions are those that Helm adds to sprig, as far as charts without a cluster use them.
func functions(root *template.Template) template.FuncMap {
	all := sprig.TxtFuncMap()
	delete(all, "env")
	delete(all, "expandenv")
	all["include"] = func(name string, data any) (string, error) {
		var out strings.Builder
		err := root.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	all["required"] = func(message string, value any) (any, error) {
		if value == nil || value == "" {
			return nil, fmt.Errorf("%s", message)
		}
		return value, nil
	}
	all["toYaml"] = func(value any) (string, error) {
		var out bytes.Buffer
		encoder := yaml.NewEncoder(&out)
		encoder.SetIndent(2)
		err := encoder.Encode(value)
		return strings.TrimSuffix(out.String(), "\n"), err
	}
	return all
}
