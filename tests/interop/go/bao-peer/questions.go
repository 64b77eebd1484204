package main

import (
	"context"
	"time"

	"github.com/openbao/openbao/sdk/v2/logical"
)

// question is a call to the host that can fail.
type question = func() (interface{}, error)

func questions(ctx context.Context, view logical.SystemView, entity string) map[string]question {
	return map[string]question{
		"cluster_id": func() (interface{}, error) { return view.ClusterID(ctx) },
		"entity":     func() (interface{}, error) { return entityInfo(view, entity) },
		"groups":     func() (interface{}, error) { return groups(view, entity) },
		"wrapped":    func() (interface{}, error) { return wrap(ctx, view) },
	}
}

// ask asks them all; a refusal is told and fails nothing.
func ask(questions map[string]question) (answers, refusals map[string]interface{}) {
	answers, refusals = map[string]interface{}{}, map[string]interface{}{}
	for name, question := range questions {
		if answer, err := question(); err != nil {
			refusals[name] = err.Error()
		} else {
			answers[name] = answer
		}
	}
	return answers, refusals
}

func entityInfo(view logical.SystemView, id string) (interface{}, error) {
	entity, err := view.EntityInfo(id)
	if err != nil || entity == nil {
		return nil, err
	}
	return map[string]interface{}{"id": entity.ID, "name": entity.Name, "metadata": entity.Metadata}, nil
}

// groups gives their names.
func groups(view logical.SystemView, entity string) (interface{}, error) {
	all, err := view.GroupsForEntity(entity)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, group := range all {
		names = append(names, group.Name)
	}
	return names, nil
}

// wrap has the host keep {"secret": "of the peer"} for a minute.
func wrap(ctx context.Context, view logical.SystemView) (interface{}, error) {
	info, err := view.ResponseWrapData(ctx, map[string]interface{}{"secret": "of the peer"}, time.Minute, false)
	if err != nil || info == nil {
		return nil, err
	}
	return map[string]interface{}{"token": info.Token, "ttl": int64(info.TTL.Seconds())}, nil
}
